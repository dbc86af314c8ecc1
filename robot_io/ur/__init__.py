"""The UR arm: its kinematics in closed form."""

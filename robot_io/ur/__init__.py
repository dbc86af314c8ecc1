"""The UR arm: closed-form kinematics, a worker process that speaks to it, and the driver that speaks to the worker."""

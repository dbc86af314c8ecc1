"""ROS 1 bags in."""

"""HDF5 of other programs: ALOHA, robomimic and raw robosuite in, robomimic out."""

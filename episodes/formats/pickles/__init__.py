"""Pickled transitions: in through a process that builds plain arrays alone, out to UniIntervene's data contract."""

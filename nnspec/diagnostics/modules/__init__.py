"""What can be measured of networks whose layers nobody knows."""

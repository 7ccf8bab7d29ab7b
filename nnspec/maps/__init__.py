"""Maps: two continuous axes, one network a pixel, one run with its arrays and pictures."""

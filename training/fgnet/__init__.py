"""FGNet-style affinity networks for serial-section electron microscopy: training, export, evaluation."""

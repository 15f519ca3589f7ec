"""From an answer to an interval, or to a set of labels, that holds the right one as often as asked.

calibration rows, answered by a network that has not learned from them -> scores -> the rank of a level -> threshold

This is split-conformal prediction (Papadopoulos et al., 2002; Lei et al., 2018): the threshold is the k-th smallest
score, k = ceil(level · (n + 1)). A new row like the n calibration rows then scores no more with a chance of level or
more, whatever the network is. It needs only that the rows come from where the calibration rows come from.
"""

"""The search for a recipe: trials chosen by Optuna, scored without test rows, and the training of the best.

choosing      which point of the space is tried next
scoring       one trial: fits, and the metric on rows held out
running       from the trials of a batch to their outcomes: the seam to other machines
encodings     the rows of trials, encoded once
side_by_side  the trials of a batch in one compiled program, as far as they are alike
search        from a recipe with a space to the bundle of the best trial
"""

"""How well ours learns beside the best untuned learners of tables: the same rows, folds and scores for all.

    tables -> folds -> ours, by `POST /train` of a real server ─┐
                  └──▶ prepared as numbers -> each peer ────────┴─▶ scores -> ratios with their errors

A peer's environment imports this package too: nothing here may need more than numpy at import.
"""

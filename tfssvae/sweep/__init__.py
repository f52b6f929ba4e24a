"""A sweep: many runs of one method with other arguments, of which validation data choose the best.

space.py       which values an argument takes      tuner.py        the arguments of the next trial
objective.py   what is compared                    trials.py       trials and sweep.json
run.py         the runs and the choice among them
table.py       trials as a table                   tensorboard.py  trials as an experiment
"""

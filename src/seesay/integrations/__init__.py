"""Other people's frameworks run their tasks on a model under seesay's methods.

One file a framework, found through its entry points: `inspect` for inspect_ai, `lmms` for
lmms-eval. Both hand their requests on as dialogues (`dialogues`), which are answered in batches.
"""

"""vLLM's prompt type is a dictionary with `prompt_token_ids`."""

TokensPrompt = dict

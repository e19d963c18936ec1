"""Tasks of lm-eval as their authors write them, over the lab's word problems; files by name."""

from __future__ import annotations

N = 24
GENERATED = r"""
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
filter_list:
  - name: boxed
    filter:
      - {function: regex, regex_pattern: "boxed\\{([0-9]+)\\}"}
      - {function: take_first}
  - name: flexible
    filter:
      - {function: regex, group_select: -1, regex_pattern: "([0-9]+)"}
      - {function: take_first}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
MADE = """
import random
from datasets import Dataset, DatasetDict

def documents(count=4, **_):
    texts = [(f"Tom has {i} pens.", [str(i), str(i + 70), "none"]) for i in range(count)]
    rows = [{"question": question, "choices": choices, "gold": 0} for question, choices in texts]
    return DatasetDict({"test": Dataset.from_list(rows)})

def shuffled(rows):  # as lm-eval's GPQA does
    def shuffle(row):
        right, choices = row["choices"][row["gold"]], list(row["choices"])
        random.shuffle(choices)
        return {"choices": choices, "gold": choices.index(right)}
    return rows.map(shuffle)
"""
TASKS = {
    "sum_gen": GENERATED + 'generation_kwargs: {until: ["\\n\\n", "=", "Question:"], max_gen_toks: 7}\n',
    "sum_shots": GENERATED + 'num_fewshot: 2\ngeneration_kwargs: {until: ["Question:"], do_sample: true}\n',
    "sum_zero": GENERATED + "num_fewshot: 0\n"
    "generation_kwargs: {until: [], max_gen_toks: 4, do_sample: false, temperature: 0.0}\n",
    "sum_begun": GENERATED + 'gen_prefix: "The answer is"\n',
    "sum_code": GENERATED + "unsafe_code: true\n",
    "sum_vote": r"""
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
repeats: 3
filter_list:
  - name: maj
    filter:
      - {function: regex, regex_pattern: "boxed\\{([0-9]+)\\}"}
      - {function: majority_vote}
      - {function: take_first}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "sum_mc": """
output_type: multiple_choice
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: choices
doc_to_target: gold
num_fewshot: 1
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
""",
    "sum_ll": """
output_type: loglikelihood
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: answer
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "sum_roll": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: question
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
    "sum_made": """
custom_dataset: !function made.documents
process_docs: !function made.shuffled
dataset_path: none
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "sum_missing": "output_type: generate_until\ndoc_to_text: x\ndoc_to_target: x\ndataset_path: /no/such/folder\n",
}

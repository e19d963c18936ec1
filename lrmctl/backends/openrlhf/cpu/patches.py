"""What the shim changes in which module, each with its reason. Everything else of OpenRLHF runs unchanged.

Written for OpenRLHF 0.11.2. Nothing here runs on a machine with CUDA: `openrlhf` itself cannot be imported there while
the shim is on.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lrmctl.backends.openrlhf.cpu.shim import refuse_cuda
from lrmctl.backends.openrlhf.import_hooks import after, leave_out

leave_out("deepspeed.compile.backend")  # DeepCompile is for CUDA, and imports torch's compiler


def _fp32() -> bool:
    return os.environ.get("LRMCTL_OPENRLHF_DTYPE") == "fp32"


class _CpuDevice(str):
    """Passes as a device in `.to(...)` and as the index in f"cuda:{...}", the two ways OpenRLHF uses it."""

    def __format__(self, spec: str) -> str:
        return "0"


@after("openrlhf")
def _refuse(_: Any) -> None:
    refuse_cuda()


@after("torch.cuda")
def _no_cuda_calls(cuda: Any) -> None:
    """OpenRLHF makes these calls without checking whether there is a device."""
    if cuda.is_available():
        return
    cuda.current_device = lambda: _CpuDevice("cpu")
    for name in ("set_device", "synchronize", "empty_cache", "current_stream"):
        setattr(cuda, name, lambda *_args, **_options: None)


@after("ray._private.worker")
def _own_cluster(worker: Any) -> None:
    """Start a new cluster without a dashboard, never join one that happens to run on this machine; but a job of a
    cluster, which gets the address from Ray or a batch script, joins that one."""
    inner = worker.init

    def init(*args: Any, **options: Any) -> Any:
        if os.environ.get("RAY_ADDRESS", "local") != "local":
            return inner(*args, **options)
        return inner(*args, **{"address": "local", "include_dashboard": False, **options})

    worker.init = init


@after("ray._private.services")
def _no_dashboard_agent(services: Any) -> None:
    """No dashboard agent: on a busy machine it starts too slowly for Ray's raylet. That gives up after 15 s, a
    hard-coded limit (ray-project/ray issue 65983). The raylet expects port files and a process, and gets those.
    """
    inner = services.start_ray_process

    def start(command: list[str], process_type: str, *args: Any, **options: Any) -> Any:
        if process_type == "raylet":
            _write_port_files(dict(word[2:].split("=", 1) for word in command if word.startswith("--") and "=" in word))
            command = [_AGENT + "sleep infinity" if word.startswith(_AGENT) else word for word in command]
        return inner(command, process_type, *args, **options)

    services.start_ray_process = start


_AGENT = "--dashboard_agent_command="


def _write_port_files(options: Mapping[str, str]) -> None:
    """Write the files that the agent would have written; nobody listens on port 1, so Ray's own metrics are dropped."""
    for name in ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port"):
        (Path(options["session_dir"]) / f"{name}_{options['node_id']}").write_text("1", encoding="utf-8")


@after("ray._private.node")
def _lean_head(node: Any) -> None:
    """No autoscaler and no API server: what is left of the dashboard, a second or two of imports each."""
    start = node.Node.__init__

    def init(self: Any, ray_params: Any, *args: Any, **options: Any) -> None:
        ray_params.no_monitor = True
        start(self, ray_params, *args, **options)

    node.Node.__init__ = init
    node.Node.start_api_server = lambda self, **_options: setattr(self, "_webui_url", None)


@after("deepspeed.comm.torch")
def _no_shared_memory_op(comm: Any) -> None:
    """An optional C++ op that takes about 40 s to compile; gloo does its work."""
    comm.build_shm_op = lambda: None


@after("transformers.utils.import_utils")
def _light_transformers(utils: Any) -> None:
    """Skip scikit-learn, pandas and scipy's solvers, imported only for assisted generation and object detection."""
    utils.is_sklearn_available = utils.is_scipy_available = lambda: False


@after("torch")
def _no_compiler(torch: Any) -> None:
    """No torch.compile. DeepSpeed decorates helpers on import, which would load all of torch's compiler, and OpenRLHF
    its entropy, which would need a C++ compiler and half a minute in every run."""
    torch.compile = lambda function=None, **_options: _same if function is None else function


def _same(function: Any) -> Any:
    return function


@after("openrlhf.utils.utils")
def _dtype(utils: Any) -> None:
    """OpenRLHF knows bf16 and fp16 only; on a CPU fp32 is the faster one."""
    if _fp32():
        import torch

        utils.convert_to_torch_dtype = lambda _: torch.float32


@after("openrlhf.utils.deepspeed.deepspeed")
def _deepspeed_config(module: Any) -> None:
    """torch's AdamW instead of FusedAdam, which takes a minute to compile; and fp32 where requested."""
    module.get_train_ds_config = _reconfigured(module.get_train_ds_config)
    module.get_eval_ds_config = _reconfigured(module.get_eval_ds_config)

    module.DeepspeedStrategy.moving_average = _on_cpu(module.DeepspeedStrategy.moving_average)


def _on_cpu(inner: Callable[..., None]) -> Callable[..., None]:
    """The moving average of the weights, which upstream puts on "cuda" unconditionally."""

    def moving_average(self: Any, model: Any, model_ema: Any, beta: float = 0.992, device: str = "cpu") -> None:
        del device
        inner(self, model, model_ema, beta, "cpu")

    return moving_average


def _reconfigured(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def config(*args: Any, **options: Any) -> dict[str, Any]:
        out = inner(*args, **options)
        optimizer = out.get("optimizer")
        if optimizer and optimizer["type"] == "AdamW":
            optimizer["params"] = {**optimizer["params"], "torch_adam": True}
        if _fp32():
            out["bf16"]["enabled"] = out["fp16"]["enabled"] = False
        return out

    return config


@after("openrlhf.trainer.ppo_trainer")
def _seeded_controller(trainer: Any) -> None:
    """Seed the controller: upstream seeds the model workers only, so the prompt order would differ from run to run."""
    inner = trainer.prepare_datasets

    def prepare_datasets(strategy: Any, tokenizer: Any) -> Any:
        import transformers

        transformers.set_seed(strategy.args.train.seed)
        return inner(strategy, tokenizer)

    trainer.prepare_datasets = prepare_datasets


class _OrderedRay:
    """Ray, except that `wait` returns results in the order of dispatch, not of completion."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def wait(self, refs: list[Any], **options: Any) -> tuple[list[Any], list[Any]]:
        ready, waiting = self._ray.wait(refs[:1], **options)
        return ready, waiting + refs[1:]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ray, name)


@after("openrlhf.trainer.ppo_utils.samples_generator")
def _ordered_samples(module: Any) -> None:
    """Samples in the order of their prompts; the engine is told how many to expect, so that they form one batch."""
    module.ray = _OrderedRay(module.ray)
    if not hasattr(module.SamplingParams, "expecting"):  # a real vLLM makes its own batches
        return
    inner = module.SamplesGenerator._dispatch_prompts_to_vllm

    def dispatch(self: Any, prompts: list[str], labels: list[str], **options: Any) -> Any:
        samples = options.get("n_samples_per_prompt", self.args.rollout.n_samples_per_prompt)
        rows = len(prompts) * samples if len(self.vllm_engines) == 1 else None
        with module.SamplingParams.expecting(rows):
            return inner(self, prompts, labels, **options)

    module.SamplesGenerator._dispatch_prompts_to_vllm = dispatch


class _CachingTokenizer:
    """A tokenizer that caches encodings, since all samples of a group have the same prompt."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._encoded = functools.lru_cache(maxsize=4096)(lambda text, items: tokenizer(text=text, **dict(items)))

    def __call__(self, text: str, **options: Any) -> Any:
        return self._encoded(text, tuple(options.items()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


@after("openrlhf.utils.agent")
def _encode_prompts_once(module: Any) -> None:
    """Encode a prompt once instead of once per sample, which took a tenth of the rollout time of a tiny model."""
    executor = module.SingleTurnAgentExecutor
    execute = executor.execute
    remembering = functools.lru_cache(maxsize=1)(_CachingTokenizer)  # Ray hands over a new copy with every prompt

    async def remembered(self: Any, *args: Any, hf_tokenizer: Any, **options: Any) -> Any:
        return await execute(self, *args, hf_tokenizer=remembering(hf_tokenizer), **options)

    executor.execute = remembered


@after("openrlhf.datasets.sft_dataset")
def _sft_dataset(module: Any) -> None:
    """No eight processes to map a small data set; lists instead of lazy columns (0.7 ms an item with datasets 4)."""
    inner = module.SFTDataset.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        inner(self, *args, **{"num_processors": None, **options})
        for column in ("prompts", "responses", "prompt_ids_lens"):
            setattr(self, column, list(getattr(self, column)))

    module.SFTDataset.__init__ = init


@after("openrlhf.datasets.reward_dataset")
def _pair_dataset(module: Any) -> None:
    """As `_sft_dataset`, for pairs."""
    inner = module.RewardDataset.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        inner(self, *args, **{"num_processors": None, **options})
        for column in ("prompts", "chosens", "rejects", "extras"):
            setattr(self, column, list(getattr(self, column)))

    module.RewardDataset.__init__ = init


@after("openrlhf.trainer.ray.ppo_actor")
def _broadcast(module: Any) -> None:
    """Send all weights in one message through Ray's object store, instead of NCCL and one message per parameter."""
    trainer = module.ActorPPOTrainer
    trainer._init_vllm_sync_group = lambda _self, _backend: None
    trainer.broadcast_to_vllm = _broadcast_to_engines
    trainer.ppo_train = _shuffled_by_step(trainer.ppo_train)


def _shuffled_by_step(inner: Callable[..., Any]) -> Callable[..., Any]:
    """The micro-batches of a step in an order derived from seed and step, so that a resumed run has the same one."""

    def ppo_train(self: Any, *args: Any, **options: Any) -> Any:
        import torch

        torch.manual_seed(self.strategy.args.train.seed * 1_000_003 + self.actor.model.global_steps)
        return inner(self, *args, **options)

    return ppo_train


def _broadcast_to_engines(self: Any) -> None:
    import deepspeed
    import ray
    import torch

    parameters = dict(self.actor.model.module.named_parameters())
    sharded = self.strategy.args.ds.zero_stage == 3
    with deepspeed.zero.GatheredParameters(list(parameters.values()), enabled=sharded):
        if torch.distributed.get_rank() == 0:
            weights = ray.put(_message({name: p.detach().clone() for name, p in parameters.items()}))
            step = str(self.actor.model.global_steps)
            ray.get([engine.update_weight.remote(step, weights, None) for engine in self.vllm_engines])
    torch.distributed.barrier()


def _message(weights: dict[str, Any]) -> Any:
    """The tensors, or their bytes if they go on to a vLLM process, whose messages lose tensors in a mapping."""
    if os.environ.get("LRMCTL_OPENRLHF_ENGINE") != "vllm":
        return weights
    import torch

    torch.save(weights, buffer := io.BytesIO())
    return buffer.getvalue()


@after("openrlhf.trainer.ray.vllm_worker_wrap")
def _receive(module: Any) -> None:
    def update_weight(self: Any, step: str, message: Any, _shape: None, empty_cache: bool = False) -> None:
        import torch

        del empty_cache
        weights = torch.load(io.BytesIO(message)) if isinstance(message, bytes) else message
        self.version = int(step)
        self.model_runner.model.load_weights(weights=list(weights.items()))

    module.WorkerWrap.update_weight = update_weight


@after("vllm.engine.arg_utils")
def _vllm_dtype(module: Any) -> None:
    """OpenRLHF asks vLLM for bfloat16; if it trains in fp32, vLLM must sample in fp32 too."""
    inner = module.EngineArgs.__post_init__

    def post_init(self: Any) -> None:
        if _fp32():
            self.dtype = "float32"
        inner(self)

    module.EngineArgs.__post_init__ = post_init


@after("vllm.model_executor.layers.utils")
def _vllm_live_weights(module: Any) -> None:
    """Plain matrix products on the live parameters. vLLM's CPU backend repacks linear weights at load time and drops
    the originals, so that later updates would have no effect."""
    inner = module.dispatch_cpu_unquantized_gemm

    def dispatch(layer: Any, remove_weight: bool) -> None:
        import torch

        if layer.weight.ndim != 2:
            inner(layer, remove_weight)
        else:
            layer.cpu_linear = torch.nn.functional.linear

    module.dispatch_cpu_unquantized_gemm = dispatch

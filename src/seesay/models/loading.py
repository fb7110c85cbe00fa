"""Load a vision-language model and its processor, from a folder or from the Hugging Face Hub.

Weights are read from safetensors only and a repository's own code runs only if asked for. Whatever
goes wrong is one `ModelError` (or `InputError` for an argument) of one line, with the remedy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import huggingface_hub.errors as hub_errors
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # re-exported without `as`
    are_progress_bars_disabled,
    disable_progress_bars,
    httpx,
)
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
)
from transformers.utils import logging as transformers_logging

from seesay.errors import InputError, ModelError, SeesayError, nearest
from seesay.models.processors import load_processor
from seesay.models.view import refuse_unsupported


def load_model(
    id_or_folder: str | Path | None = None,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Load an image-text-to-text model, ready for inference, and its processor.

    Args:
        id_or_folder: a folder that `save_pretrained` wrote, an id on the Hugging Face Hub, or None
            for the bundled model.
        dtype: "float32", "bfloat16", "float16" or "auto" (as the checkpoint was saved). None is
            float32 on a CPU, where half precision is slow or missing, and "auto" elsewhere.
        device: "cpu", "cuda", "cuda:1", ... None and "auto" take a GPU if there is one.
        device_map: "auto", or part by part, over several devices, main memory and disk; needs
            accelerate. In the place of `device`.
        revision: branch, tag or commit on the Hub.
        trust_remote_code: run Python code from the repository. Read it first.

    Returns:
        (model, processor): the model in `eval()` without gradients; the processor pads left.

    Raises:
        ModelError: not found, no network, no vision, needs remote code, damaged or pickle-only.
        InputError: unknown dtype, a device that is not there, or a device and a map of devices.
    """
    source = _source(id_or_folder)
    target = _device(device)
    spread = {} if device_map is None else _spread(device, device_map)
    weights_dtype = _dtype(dtype, target)
    with quiet(bars=not Path(source).is_dir()), _explained(source, revision):
        trust = {"trust_remote_code": trust_remote_code}
        _require_reachable(source, revision)
        config = AutoConfig.from_pretrained(source, revision=revision, **trust)
        _require_image_text_to_text(source, config)
        # One commit for all files; and a pinned one keeps transformers from asking the Hub to
        # convert pickle weights on our behalf.
        pinned = {"revision": getattr(config, "_commit_hash", None) or revision, **trust}
        model, report = AutoModelForImageTextToText.from_pretrained(
            source,
            config=config,
            dtype=weights_dtype,
            use_safetensors=True,
            output_loading_info=True,
            **spread,
            **pinned,
        )
        _require_all_weights(source, report["missing_keys"])
        processor = load_processor(source, config, pinned)
        model = (model if spread else model.to(target)).eval().requires_grad_(False)
    return model, processor


def _source(id_or_folder: str | Path | None) -> str:
    """The folder or Hub id to load from; a path that is no model folder is refused here."""
    if id_or_folder is None:
        from seesay.toy import MODEL_DIR  # beside the bundled scenes; not needed otherwise

        id_or_folder = MODEL_DIR
    given = str(id_or_folder)
    folder = Path(given).expanduser()
    if given and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{given} has no config.json, so it is no model folder; give the folder that "
                "save_pretrained or `hf download` wrote"
            )
        return str(folder)
    if folder.is_file():
        raise ModelError(f"{given} is a file; give the folder that holds it: {folder.parent}")
    if not given or given[0] in "./~\\" or given.count("/") > 1 or isinstance(id_or_folder, Path):
        raise ModelError(f"no model folder {given!r}{_similar(folder)}; check the path")
    return given


def _similar(path: Path) -> str:
    """A clause that names entries beside a missing `path` with nearly its name."""
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, siblings, n=3)
    return f" (similar there: {', '.join(close)})" if close else ""


def _require_reachable(source: str, revision: str | None) -> None:
    """Ask for a Hub id once, where transformers would retry half a minute without a network."""
    if Path(source).is_dir():
        return
    cached = try_to_load_from_cache(source, "config.json", revision=revision)
    if not isinstance(cached, str):
        get_hf_file_metadata(hf_hub_url(source, "config.json", revision=revision))


def _device(device: str | torch.device | None) -> torch.device:
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"unknown device {device!r}; use cpu, cuda, cuda:1 or auto") from error
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(f"device {device!r}: torch sees {count} CUDA GPUs here; use cpu or auto")
    return target


def _spread(device: Any, device_map: str | Mapping[str, Any]) -> dict[str, Any]:
    """What `from_pretrained` takes to lay a model over several devices."""
    if device is not None:
        raise InputError(f"device={device!r} and device_map={device_map!r}: give one of them")
    if find_spec("accelerate") is None:
        raise ModelError("device_map needs accelerate: pip install 'seesay[devices]'")
    # Safetensors are read from where they lie; only what was converted is written there.
    return {"device_map": device_map, "offload_folder": tempfile.mkdtemp(prefix="seesay-")}


_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def _dtype(dtype: str | torch.dtype | None, target: torch.device) -> str | torch.dtype:
    if dtype is None:
        return torch.float32 if target.type == "cpu" else "auto"
    if dtype == "auto" or dtype in _DTYPES.values():
        return dtype
    name = str(dtype)
    if name not in _DTYPES:
        raise InputError(f"unknown dtype {name!r}; {nearest(name, [*_DTYPES, 'auto'])}")
    return _DTYPES[name]


def _require_image_text_to_text(source: str, config: Any) -> None:
    refuse_unsupported(config)
    own_code = getattr(config, "auto_map", None) or {}
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return
    if "AutoModelForImageTextToText" not in own_code:
        raise ModelError(
            f"{source} is a {config.model_type} model, which transformers does not list as "
            "image-text-to-text; use a model with that tag on the Hugging Face Hub"
        )


def _require_all_weights(source: str, missing: Any) -> None:
    """Weights that a checkpoint lacks would be drawn at random: a model that talks nonsense."""
    if missing:
        raise ModelError(
            f"{source} lacks {len(missing)} weights, {min(missing)} among them; the checkpoint is "
            "incomplete: download or save it again"
        )


@contextmanager
def quiet(bars: bool) -> Iterator[None]:
    """Hold back transformers' warnings, and its progress bars unless there may be a download."""
    verbosity = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    hub_had_bars = not are_progress_bars_disabled()
    transformers_logging.set_verbosity_error()
    if not bars:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()  # switches the Hub's bars on as well
        if not hub_had_bars:
            disable_progress_bars()


@contextmanager
def _explained(source: str, revision: str | None) -> Iterator[None]:
    """Turn what transformers and the Hub raise into one line with a remedy."""
    try:
        yield
    except SeesayError:
        raise
    except SafetensorError as error:
        raise ModelError(
            f"{source}: its safetensors file is damaged ({error}); download or copy it again"
        ) from error
    except FOREIGN_ERRORS as error:
        raise ModelError(_explain(source, revision, error)) from error


# What transformers, the Hub's client and the network raise while something is loaded.
FOREIGN_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    ImportError,
    LookupError,
    TypeError,
    AttributeError,
    hub_errors.StrictDataclassError,
    httpx.TransportError,
)

_NOT_REACHED = (
    hub_errors.LocalEntryNotFoundError,
    hub_errors.OfflineModeIsEnabled,
    ConnectionError,
    TimeoutError,
    httpx.TransportError,
)


def _explain(source: str, revision: str | None, error: BaseException) -> str:
    kinds = tuple(type(cause) for cause in _causes(error))
    text = " ".join(str(error).split())
    page = f"https://huggingface.co/{source}"

    def is_a(*classes: type[BaseException]) -> bool:
        return any(issubclass(kind, classes) for kind in kinds)

    if is_a(hub_errors.GatedRepoError):
        return f"{source} is gated: accept its licence at {page}, then run `hf auth login`"
    if is_a(hub_errors.RevisionNotFoundError):
        return f"{source} has no revision {revision!r}; see {page}/tree/main for those it has"
    if is_a(hub_errors.RepositoryNotFoundError):
        return f"no model {source!r} on the Hugging Face Hub, nor a folder of that name; check it"
    if is_a(hub_errors.HFValidationError):
        return f"{source!r} is neither a folder nor an id such as llava-hf/llava-1.5-7b-hf"
    if is_a(hub_errors.RemoteEntryNotFoundError):
        return (
            f"{source} on the Hugging Face Hub has no config.json, so it is no transformers model"
        )
    if is_a(*_NOT_REACHED):
        return (
            f"{source} is not on this machine and the Hugging Face Hub cannot be reached; where "
            f"there is a network, run `hf download {source} --local-dir FOLDER` and use FOLDER"
        )
    if "trust_remote_code" in text:
        return (
            f"{source} needs Python code from its own repository; read that code, then pass "
            "trust_remote_code=True, or use a model that transformers supports itself"
        )
    if "does not recognize this architecture" in text or "Unrecognized model" in text:
        return f"{source}: transformers does not know its model type; upgrade transformers"
    if "safetensors" in text and "file named" in text:
        return (
            f"{source} has no safetensors weights; seesay opens no pickle (.bin, .pt) weights, "
            "which can run code: convert them with save_pretrained"
        )
    if "ignore_mismatched_sizes" in text:
        return f"{source}: its weights do not fit its config.json; download or save both again"
    if is_a(torch.OutOfMemoryError):
        return f"{source} does not fit into memory; use dtype='bfloat16' or a smaller model"
    reason = text.partition(". If you were trying")[0]  # the rest guesses at what one meant
    return f"{source} cannot be loaded: {reason[:300]}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

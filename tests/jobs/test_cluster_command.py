"""The lines and scripts for clusters: what torchrun and bash themselves make of them."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint
from torch.distributed.run import config_from_args, parse_args

from dit_studio.cli import main
from dit_studio.config import Recipe, dump_recipe, load_recipe, parse_recipe
from dit_studio.events import CheckStatus, JobState
from dit_studio.jobs.command_checks import command_checks, is_probably_local
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.slurm import Turn, slurm_script
from dit_studio.jobs.torchrun import Cluster, command_line, torchrun_command
from tests.jobs.conftest import MakeRun

HOSTILE = Path('/shared disk/it\'s "new" $HOME `x`/*; rm -rf/a\\b')
FOUR = Cluster(hosts=4, devices=8, head="node01", port=29_511, restarts=2)


def understood(words: list[str]) -> tuple[Any, list[str]]:
    """The launch configuration that torchrun reads out of the words, and what it starts in each process."""
    assert words[0] == "torchrun"
    parse: Any = parse_args
    config, _, started = config_from_args(parse(words[1:]))
    return config, started


def test_torchrun_understands_the_line_of_many_hosts() -> None:
    line = command_line(HOSTILE / "recipe.toml", HOSTILE / "run", FOUR)
    assert "\n" not in line
    config, started = understood(shlex.split(line))
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node) == (4, 4, 8)
    assert (config.rdzv_backend, config.rdzv_endpoint, config.max_restarts) == ("c10d", "node01:29511", 2)
    assert parse_rendezvous_endpoint(config.rdzv_endpoint, default_port=1) == ("node01", 29_511)
    assert config.run_id == "run"
    assert (config.rdzv_configs["join_timeout"], config.rdzv_configs["read_timeout"]) == ("600", "600")
    ends = ["train", str(HOSTILE / "recipe.toml"), "--out", str(HOSTILE / "run")]
    assert started[-len(ends) - 2 :] == ["-m", "dit_studio", *ends]


def test_with_a_least_number_of_hosts_torchrun_is_elastic() -> None:
    config, _ = understood(torchrun_command(Path("/r.toml"), Path("/run"), Cluster(hosts=4, least_hosts=2, head="a")))
    assert (config.min_nodes, config.max_nodes) == (2, 4)


def test_one_host_meets_nobody() -> None:
    words = torchrun_command(Path("/r.toml"), Path("/run"), Cluster(hosts=1, devices=3, restarts=0))
    assert words[:4] == ["torchrun", "--standalone", "--nproc-per-node=3", "--max-restarts=0"]
    config, _ = understood(words)
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node) == (1, 1, 3)


# ------------------------------------------------------------------------------------------------- SLURM


def fake_commands(folder: Path, **scripts: str) -> Path:
    """Programs that stand for those of a cluster."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def run_script(script: str, place: Path, **programs: str) -> "subprocess.Popen[str]":
    path = f"{fake_commands(place / 'bin', **programs)}:/usr/bin:/bin"
    environment = {"PATH": path, "SLURM_JOB_NODELIST": "node[07-10]", "SLURM_JOB_ID": "1234", "PLACE": str(place)}
    (place / "job.sh").write_text(script)
    return subprocess.Popen(["bash", str(place / "job.sh")], env=environment, text=True)


@pytest.mark.parametrize("cluster", [FOUR, Cluster(hosts=1, devices=2), Cluster(hosts=4, least_hosts=2, head="a")])
@pytest.mark.parametrize("out", [Path("/shared/run"), HOSTILE / "run", Path("/two\nlines")])
def test_bash_finds_no_fault_in_the_script(cluster: Cluster, out: Path, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(slurm_script(HOSTILE / "recipe.toml", out, cluster, Turn()))
    done = subprocess.run(["bash", "-n", str(tmp_path / "job.sh")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_headers_ask_for_what_was_chosen() -> None:
    script = slurm_script(Path("/r.toml"), Path("/runs/my run"), FOUR, Turn(hours=48, cores=64))
    headers = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert headers == [
        "--job-name=my-run", "--nodes=4", "--ntasks-per-node=1", "--gpus-per-node=8", "--cpus-per-task=64",
        "--time=48:00:00", "--output=%x-%j.log", "--open-mode=append", "--signal=B:TERM@120", "--requeue",
    ]  # fmt: skip
    assert "export OMP_NUM_THREADS=8\n" in script
    assert "--gpus-per-node" not in slurm_script(Path("/r.toml"), Path("/run"), FOUR, Turn(has_gpus=False))
    elastic = slurm_script(Path("/r.toml"), Path("/run"), Cluster(hosts=4, least_hosts=2), Turn())
    assert "#SBATCH --nodes=2-4\n" in elastic
    assert "--nnodes=2:4 " in elastic


def test_the_script_starts_torchrun_at_the_first_host_with_the_paths_as_they_are(tmp_path: Path) -> None:
    script = slurm_script(HOSTILE / "recipe.toml", HOSTILE / "run", FOUR, Turn(cores=64))
    process = run_script(
        script, tmp_path,
        scontrol='[ "$*" = "show hostnames node[07-10]" ] && printf "node07\\nnode08\\n"',
        srun='shift; printf "%s\\n" "$@" > "$PLACE/words"',
    )  # fmt: skip
    assert process.wait(20) == 0
    words = (tmp_path / "words").read_text().splitlines()
    config, started = understood(words)
    assert config.rdzv_endpoint == "node07:29511"
    assert started[-3:] == [str(HOSTILE / "recipe.toml"), "--out", str(HOSTILE / "run")]


@pytest.mark.parametrize(("state", "queued_again"), [("stopped", True), ("finished", False)])
def test_before_its_time_is_over_the_run_is_stopped_and_queued_again(
    tmp_path: Path, state: str, queued_again: bool
) -> None:
    run = tmp_path / "the run"
    run.mkdir()
    (tmp_path / "ready").touch()
    waits = 'rm "$PLACE/ready"; until [ -e "$PLACE/the run/commands/stop" ]; do sleep 0.02; done'
    process = run_script(
        slurm_script(tmp_path / "r.toml", run, Cluster(devices=2), Turn()), tmp_path,
        scontrol='echo "$*" > "$PLACE/scontrol"',
        srun=f"{waits}; echo '{{\"state\":\"{state}\"}}' > \"$PLACE/the run/status.json\"",
    )  # fmt: skip
    while (tmp_path / "ready").exists():
        assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 0
    assert (tmp_path / "scontrol").exists() == queued_again
    if queued_again:
        assert (tmp_path / "scontrol").read_text() == "requeue 1234\n"


# ------------------------------------------------------------------------------------------------- checks


def failed(*args: Any) -> list[str]:
    return [check.message for check in command_checks(*args) if check.status is CheckStatus.FAILED]


def test_a_recipe_is_to_be_saved_as_it_is(tmp_path: Path) -> None:
    recipe, file = Recipe(), tmp_path / "recipe.toml"
    assert failed(None, "", "/run", Cluster()) == ["The settings are not possible."]
    assert failed(recipe, "", "/run", Cluster()) == ["The recipe is not saved yet."]
    assert failed(recipe, str(file), "/run", Cluster()) == [f"{file} is not saved yet."]
    file.write_text(dump_recipe(parse_recipe({"train": {"steps": 7}})))
    assert failed(recipe, str(file), "/run", Cluster()) == [f"{file} holds other settings than these."]
    file.write_text("steps = ")
    assert len(failed(recipe, str(file), "/run", Cluster())) == 1
    file.write_text(dump_recipe(recipe))
    assert failed(load_recipe(file), str(file), "/run", Cluster()) == []
    assert failed(recipe, "recipe.toml", "run", Cluster()) == [
        "recipe.toml is not a whole path.", "run is not a whole path.",
    ]  # fmt: skip


def test_hosts_devices_and_batch_have_to_fit(tmp_path: Path) -> None:
    file, recipe = tmp_path / "recipe.toml", parse_recipe({"train": {"batch_size": 24}})
    file.write_text(dump_recipe(recipe))
    assert failed(recipe, str(file), "/run", Cluster(hosts=4, devices=8, head="a")) == [
        "A batch of 24 is less than 32 devices: each takes at least one image."
    ]
    assert failed(recipe, str(file), "/run", Cluster(hosts=2)) == ["No first host is named."]
    assert failed(recipe, str(file), "/run", Cluster(hosts=2, head="a b")) == ["'a b' is not the name of a host."]
    assert failed(recipe, str(file), "/run", Cluster(hosts=2, least_hosts=3, head="[::1]")) == [
        "At least 3 hosts are wanted of 2."
    ]
    uneven = [check for check in command_checks(recipe, str(file), "/run", Cluster(devices=5)) if check.name == "Batch"]
    assert [check.remedy for check in uneven] == ["A batch of 25 is divided evenly."]


def test_a_disk_that_others_do_not_see_is_warned_of(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nhead:/x /shared\\040disk nfs4 rw 0 0\n/dev/sdb /shared\\040disk/own xfs rw 0 0\n"
    )
    assert is_probably_local(Path("/home/x"), mounts)
    assert not is_probably_local(Path("/shared disk/runs/a"), mounts)
    assert is_probably_local(Path("/shared disk/own/a"), mounts)
    assert not is_probably_local(Path("/home/x"), tmp_path / "none")


# ------------------------------------------------------------------------------------------------- the command line


def test_the_command_line_prints_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, run = tmp_path / "my recipe.toml", tmp_path / "a run"
    file.write_text(dump_recipe(Recipe()))
    words = ["command", str(file), "--out", str(run), "--hosts", "4", "--devices", "8", "--head", "node01"]
    cluster = Cluster(hosts=4, devices=8, head="node01")
    assert main(words) == 0
    assert capsys.readouterr().out == command_line(file, run, cluster) + "\n"
    assert main([*words, "--slurm", "--hours", "3"]) == 0
    assert capsys.readouterr().out == slurm_script(file, run, cluster, Turn(hours=3, cores=64))
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["command"] == command_line(file, run, cluster)
    assert main(["command", str(file), "--out", str(run), "--devices", "8", "--hosts", "9"]) == 1
    assert "A batch of 64 is less than 72 devices" in capsys.readouterr().err
    assert main(["command", str(file), "--out", str(run), "--hosts", "1025"]) == 2
    assert "1025 is not possible: it takes 1 to 1,024." in capsys.readouterr().err


def test_what_is_at_the_run_folders_place_is_said(tmp_path: Path) -> None:
    recipe, file, out = Recipe(), tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(dump_recipe(recipe))

    def said(path: Path) -> list[tuple[CheckStatus, str]]:
        checks = command_checks(recipe, str(file), str(path), Cluster())
        return [(check.status, check.message) for check in checks if check.name == "Run folder"]

    assert said(out) == []
    out.mkdir()
    assert said(out) == []
    (out / "notes.txt").touch()
    assert said(out) == [(CheckStatus.WARNING, f"{out} holds other files, and no run.")]
    assert said(file) == [(CheckStatus.FAILED, f"{file} is a file.")]
    RunFolder.create(out, recipe)
    assert said(out) == [], "it goes on there"
    (out / "run.toml").write_text(dump_recipe(parse_recipe({"train": {"steps": 7}})))
    ((status, message),) = said(out)
    assert status is CheckStatus.FAILED
    assert "train.steps = 20000 now, 7 there" in message


# ------------------------------------------------------------------------------------------------- run for real


def test_the_line_of_one_host_trains(make_run: MakeRun, tmp_path: Path) -> None:
    recipe = tmp_path / "it's new" / "recipe.toml"
    recipe.parent.mkdir()
    recipe.write_text(
        dump_recipe(make_run("train.steps=2", "train.preview_every=0", "train.validate_every=0").recipe())
    )
    line = command_line(recipe, recipe.parent / "run", Cluster(hosts=1, devices=2, restarts=0))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(line, shell=True, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    status = RunFolder(recipe.parent / "run").read_status()
    assert (status.state, status.step, status.processes) == (JobState.FINISHED, 2, 2)

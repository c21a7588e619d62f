"""headlight train in several processes, by hand and under torchrun, on one host and on two."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import PROGRAM, ROOT, wait_for_model
from test_train import SMALL, write_pairs

STEPS = 8
# Adam would make steps of full size out of gradients that are zero but for rounding.
TINY = [*SMALL[:SMALL.index("--learning-rate")], "--learning-rate", 0.001, "--warmup", 4, "--threads", 1,
        "--steps", STEPS, "--evaluate-every", 4]
LONG = ["--steps", 100000, "--evaluate-every", 50, *SMALL]


def free_port():
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return end.getsockname()[1]


def job_of(size, port=None, address="127.0.0.1"):
    port = port or free_port()
    return [dict(os.environ, RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR=address, MASTER_PORT=str(port))
            for rank in range(size)]


def start(arguments, environments, folder, before=lambda rank: [], cwd=lambda rank: None):
    return [subprocess.Popen([*before(rank), str(PROGRAM), "train", *map(str, arguments)], env=environment,
                             cwd=cwd(rank) or folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for rank, environment in enumerate(environments)]


def ends(processes, codes):
    """What they wrote, (out, error) of each; all must end with these exit codes."""
    try:
        written = [process.communicate(timeout=100) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == codes, written
    return written


def run(arguments, environments, folder, codes=None, **how):
    return ends(start(arguments, environments, folder, **how), codes or [0] * len(environments))


def torchrun(size, *arguments):
    module = pytest.importorskip("torch").__name__ + ".distributed.run"
    return [sys.executable, "-m", module, "--no-python", "--nproc-per-node", str(size), "--master-port",
            str(free_port()), str(PROGRAM), "train", *map(str, arguments)]


def assert_near(ours, theirs):
    """The same training: gradients (in Adam's first moments), averages and parameters."""
    a, b = (load_file(folder / "training.safetensors") for folder in (ours, theirs))
    assert a.keys() == b.keys()
    for name in a:
        # A bias of keys shifts all scores of a query alike: its gradient is rounding alone, which Adam
        # blows up.
        if name.startswith("adam.first") or not name.endswith(("qkv.bias", "key_value.bias")):
            numpy.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Runs of one process: a translator and a language model, and what they said."""
    folder = tmp_path_factory.mktemp("alone")
    data = {"translate": write_pairs(folder, 60), "lm": ("--kind", "lm", "en.txt")}
    said = {}
    for kind, files in data.items():
        (out, _), = run([*files, "--out", kind, *TINY, "--json"], [dict(os.environ)], folder)
        said[kind] = json.loads(out)
    return folder, data, said


@pytest.mark.parametrize("kind, size", [("translate", 2), ("lm", 4)])
def test_several_processes_learn_what_one_learns(alone, tmp_path, kind, size):
    folder, data, said = alone
    arguments = [*data[kind], "--out", tmp_path / "model", *TINY, "--json"]
    (out, _), *others = run(arguments, job_of(size), folder)
    assert all(other == ("", "") for other in others)
    curve = lambda one: [(point["step"], point["train_loss"], point["test_loss"]) for point in one["curve"]]
    numpy.testing.assert_allclose(curve(json.loads(out)), curve(said[kind]), rtol=1e-5)
    assert_near(tmp_path / "model", folder / kind)


def test_a_process_may_have_no_row_of_a_batch(alone, tmp_path):
    folder, data, _ = alone
    few = [*data["lm"], *TINY, "--batch", 14]  # one to three lines a step
    run([*few, "--out", tmp_path / "one"], [dict(os.environ)], folder)
    run([*few, "--out", tmp_path / "four"], job_of(4), folder)
    assert_near(tmp_path / "four", tmp_path / "one")


def test_masks_of_dropout_differ_between_processes_and_are_the_same_again(tmp_path):
    line = "one two three four five six\n"
    (tmp_path / "lines.txt").write_text(line * 40)

    def learned(size, dropout, tokens):
        how = ["--kind", "lm", "lines.txt", "--valid", "lines.txt", "--out", tmp_path / f"{size}", *TINY, "--batch",
               10 * tokens * size, "--steps", 3, "--warmup", 2, "--dropout", dropout]
        shutil.rmtree(tmp_path / f"{size}", ignore_errors=True)
        run(how, job_of(size), tmp_path)
        tensors = load_file(tmp_path / f"{size}/training.safetensors")
        return numpy.concatenate([tensors[key].ravel() for key in sorted(tensors) if key.startswith("adam.first")])

    learned(1, 0, 10)
    said = subprocess.run([PROGRAM, "tokenize", "1"], input=line, cwd=tmp_path, capture_output=True, text=True).stdout
    tokens = len(json.loads(said)["ids"])
    # Ten lines for each process, all alike: with equal masks two would learn what one learns from its ten.
    numpy.testing.assert_allclose(learned(2, 0, tokens), learned(1, 0, tokens), rtol=1e-3, atol=1e-6)
    two, one = learned(2, 0.5, tokens), learned(1, 0.5, tokens)
    assert abs(two - one).max() > 0.01 * abs(one).max()
    assert (learned(2, 0.5, tokens) == two).all()


def test_torchrun_starts_it_and_another_number_of_processes_goes_on(alone, tmp_path):
    folder, data, _ = alone
    how = [*data["lm"], "--out", "model", *LONG]
    shutil.copy(folder / "en.txt", tmp_path)
    job = subprocess.Popen(torchrun(2, *how), cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
    wait_for_model(tmp_path / "model", [job])
    job.send_signal(signal.SIGINT)
    out, error = job.communicate(timeout=100)
    assert job.returncode != 0 and out == "" and error.count("Go on with") == 1, error
    assert "headlight: stopped at step" in error
    (out, _), = run(["--resume", "model", "--budget-minutes", 0.001, "--json"], [dict(os.environ)], tmp_path)
    assert json.loads(out)["steps"] >= 50


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_others_and_the_folder_goes_on(alone, tmp_path, lost):
    folder, data, _ = alone
    processes = start([*data["lm"], "--out", tmp_path / "model", *LONG], job_of(2), folder)
    wait_for_model(tmp_path / "model", processes)
    processes[1 - lost].send_signal(signal.SIGPIPE)  # as comes of writing to the lost one
    processes[lost].kill()
    written = ends(processes, [-9, 4] if lost == 0 else [4, -9])
    error = written[1 - lost][1]
    assert f"process {lost} of 2 was lost" in error and "headlight train --resume" in error
    assert len(error.splitlines()) == 1
    if lost == 1:  # process 0 keeps the last step
        assert (tmp_path / "model/training.safetensors").exists()
    (out, _), _ = run(["--resume", tmp_path / "model", "--budget-minutes", 0.001, "--json"], job_of(2), tmp_path)
    assert json.loads(out)["steps"] >= 1


def kill_one_of_two(job):
    children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(job.pid)], capture_output=True,
                              text=True).stdout.splitlines()
    pids = [int(line.split()[0]) for line in children if "train" in line]
    assert len(pids) == 2
    os.kill(max(pids), signal.SIGKILL)


def test_torchrun_starts_lost_processes_again(alone, tmp_path):
    folder, data, _ = alone
    command = torchrun(2, *data["lm"], "--out", tmp_path / "model", *LONG[2:], "--steps", 1000, "--json")
    command.insert(command.index("--no-python"), "--max-restarts=1")
    job = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_model(tmp_path / "model", [job])
    kill_one_of_two(job)
    out, error = job.communicate(timeout=100)
    assert job.returncode == 0, error
    assert json.loads(out)["steps"] == 1000


def test_torchrun_ends_when_a_process_is_killed_and_the_folder_goes_on(alone, tmp_path):
    folder, data, _ = alone
    job = subprocess.Popen(torchrun(2, *data["lm"], "--out", tmp_path / "model", *LONG), cwd=folder, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_model(tmp_path / "model", [job])
    kill_one_of_two(job)
    out, error = job.communicate(timeout=100)
    assert job.returncode != 0 and error.count("Go on with") == 1, error
    (out, _), = run(["--resume", tmp_path / "model", "--budget-minutes", 0.001, "--json"], [dict(os.environ)], folder)
    assert json.loads(out)["steps"] >= 50


def test_a_signal_to_any_process_stops_all(alone, tmp_path):
    folder, data, _ = alone
    processes = start([*data["lm"], "--out", tmp_path / "model", *LONG], job_of(2), folder)
    wait_for_model(tmp_path / "model", processes)
    processes[1].send_signal(signal.SIGTERM)
    (_, error), other = ends(processes, [130, 130])
    assert "Go on with" in error and other == ("", "")


def test_what_is_wrong_is_said_once_with_one_exit_code(alone, tmp_path):
    folder, data, _ = alone
    out = ["--out", tmp_path / "model"]

    def refused(arguments, code, speaker=0, **how):
        written = run(arguments, job_of(2), folder, codes=[code, code], **how)
        assert written[1 - speaker] == ("", "") and written[speaker][0] == ""
        return written[speaker][1]

    assert "DATA" in refused(out, 2)
    assert "nowhere.txt" in refused(["--kind", "lm", "nowhere.txt", *out], 3)
    assert not (tmp_path / "model").exists()
    error = refused([*data["lm"], *out, *TINY, "--steps", 200, "--learning-rate", 1e30], 3)
    assert "diverged" in error


def test_other_data_on_another_host_is_refused(alone, tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("another file of the same name for one process needs mount namespaces (unshare -m, as root)")
    folder, data, _ = alone
    (tmp_path / "other.txt").write_text((folder / "en.txt").read_text().replace("one", "two"))
    hidden = f"mount --bind {tmp_path}/other.txt {folder}/en.txt && exec \"$@\""
    error = run([*data["lm"], "--out", tmp_path / "model", *TINY], job_of(2), folder, codes=[3, 3],
                before=lambda rank: ["unshare", "-m", "sh", "-c", hidden, "sh"] if rank else [])[1][1]
    assert "process 1 of 2" in error and "other data" in error


@pytest.mark.parametrize("environment, word", [
    ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE"),
    ({"WORLD_SIZE": "2"}, "RANK"),
    ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK"),
    ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR"),
    ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}, "MASTER_PORT"),
    ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "http"}, "MASTER_PORT"),
    ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "no.such.host.invalid", "MASTER_PORT": "29500"}, "no.such.host"),
    ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}, "MASTER_ADDR"),
    ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, "MASTER_ADDR"),
    ({"PMI_SIZE": "2", "PMI_RANK": "-1"}, "PMI_RANK")])
def test_an_environment_that_makes_no_job_is_refused_by_name(headlight, environment, word):
    error = headlight("train", "data.txt", "--out", "model", environment=environment, code=2).err
    assert word in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("names", ["OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE", "PMI_RANK PMI_SIZE",
                                   "SLURM_PROCID SLURM_STEP_NUM_TASKS"])
def test_launchers_of_mpi_and_slurm_are_understood(alone, tmp_path, names):
    folder, _, _ = alone
    rank, size = names.split()
    environments = [{rank: str(i), size: "2", **{name: job[name] for name in job if name not in ("RANK", "WORLD_SIZE")}}
                    for i, job in enumerate(job_of(2))]
    (_, error), other = run(["--kind", "lm", "nowhere.txt", "--out", tmp_path / "model"], environments, folder, codes=[3, 3])
    assert "nowhere.txt" in error and other == ("", "")


def test_a_batch_script_of_slurm_is_one_process(alone, tmp_path):
    folder, data, _ = alone
    batch = dict(os.environ, SLURM_JOB_ID="7", SLURM_NTASKS="4", SLURM_PROCID="0", WORLD_SIZE="1", RANK="0")
    run([*data["lm"], "--out", tmp_path / "model", *TINY], [batch], folder)


@pytest.fixture
def hosts():
    """Two network namespaces with a cable between them: names, and the address of the first."""
    if not shutil.which("ip"):
        pytest.skip("two network namespaces need the program ip (iproute2)")
    names = [f"headlight{os.getpid()}{side}" for side in "ab"]
    ip = lambda *words: subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", "cable-a", "netns", names[0], "type", "veth", "peer", "name", "cable-b", "netns", names[1])
            for name, side, number in zip(names, "ab", (1, 2)):
                for words in (["addr", "add", f"10.77.0.{number}/24", "dev", f"cable-{side}"],
                              ["link", "set", f"cable-{side}", "up"], ["link", "set", "lo", "up"]):
                    ip("-n", name, *words)
        except subprocess.CalledProcessError as problem:
            pytest.skip(f"network namespaces (ip netns, as root) are not permitted here: {problem.stderr}")
        yield names, "10.77.0.1"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_two_hosts_train_together_without_a_shared_folder(alone, hosts, tmp_path):
    folder, data, said = alone
    names, address = hosts
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "de.txt", tmp_path)
    shutil.copy(folder / "en.txt", tmp_path)
    (out, _), other = run([*data["translate"], "--out", "model", *TINY, "--json"], job_of(2, 29511, address), tmp_path,
                          before=lambda rank: ["ip", "netns", "exec", names[rank]],
                          cwd=lambda rank: tmp_path / "elsewhere" if rank else None)
    assert other == ("", "") and not list((tmp_path / "elsewhere").iterdir())
    assert json.loads(out)["valid_loss"] == pytest.approx(said["translate"]["valid_loss"], rel=1e-5)
    assert_near(tmp_path / "model", folder / "translate")

"""The process that speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import espeakng_loader
import numpy as np

JOB = {
    "seed": 7,
    "utterances": [
        {"text": "river", "voice": voice, "rate": 170, "pitch": 50, "longest": None}
        for voice in ("en-us+m1", "en+f3", "en-us+m1")
    ],
}


def run(command, **environment):
    return subprocess.run(
        command,
        input=json.dumps(JOB).encode(),
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
    ).stdout


def test_standard_output_is_a_line_of_json_and_the_samples():
    output = run([sys.executable, "-m", "metamers.stimuli.espeak_process"])
    line, _, content = output.partition(b"\n")
    header = json.loads(line)
    assert header["sample_rate"] == 22050
    assert header["rates"] == [170, 170, 170]
    samples = np.frombuffer(content, dtype="<i2")
    assert len(samples) == sum(header["lengths"])
    assert np.abs(samples).max() > 1000


def test_the_bytes_do_not_depend_on_the_surroundings(tmp_path):
    command = [sys.executable, "-m", "metamers.stimuli.espeak_process"]
    first = run(command)
    assert first == run(command, LC_ALL="C", TZ="Asia/Tokyo", HOME=str(tmp_path))


def test_data_with_a_long_path_are_found(tmp_path):
    """The library's own buffer for the path is shorter than the path here."""
    folder = tmp_path / ("long" * 30) / ("longer" * 20)
    folder.mkdir(parents=True)
    link = folder / "espeak-ng-data"
    link.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    program = (
        "import espeakng_loader; "
        f"espeakng_loader.get_data_path = lambda: {str(link)!r}; "
        "from metamers.stimuli.espeak_process import main; main()"
    )
    long_path = run([sys.executable, "-c", program])
    command = [sys.executable, "-m", "metamers.stimuli.espeak_process"]
    assert len(str(link)) > 160
    assert long_path == run(command)


def test_the_process_imports_no_torch():
    program = (
        "import sys, metamers.stimuli.espeak_process, metamers.stimuli.prepare; "
        "sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    )
    package = Path(__file__).resolve().parents[2] / "workflow"
    environment = {**os.environ, "PYTHONPATH": str(package)}
    finished = subprocess.run([sys.executable, "-c", program], env=environment)
    assert finished.returncode == 0

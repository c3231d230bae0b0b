"""What happens when something is killed, on a real Slurm.

Each test says what the user sees, that the results are those of an undisturbed run bit
for bit, and that nothing that was made was made again.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

from driving import MADE, TRAINED, assert_clean, assert_same, pause

QUICK, SLOW = TRAINED.format(model="quick"), TRAINED.format(model="slow")
RELU0 = MADE.format(model="still", stage="relu0")
FINAL = MADE.format(model="still", stage="final")


def states(jobs, rule):
    return [job.state for job in jobs if job.rule == rule]


def resumed(folder, rule, name):
    """Say whether the last attempt at a job went on from a saved state."""
    text = (folder / f"logs/faults/{rule}/{name}.log").read_text()
    return "resuming from" in text


def test_time_limit_in_training_and_in_synthesis(site, undisturbed):
    """TIMEOUT: the job goes on where it was, with a longer limit."""
    limits = ["--set-resources", "train_model:runtime=1*attempt"]
    limits += ["synthesize_metamers:runtime=1*attempt"]
    driver = site.run(*limits, SLOW, FINAL, seconds=420)
    jobs = site.jobs(driver)
    assert states(jobs, "train_model") == ["TIMEOUT", "COMPLETED"]
    assert states(jobs, "synthesize_metamers") == ["TIMEOUT", "COMPLETED"]
    assert "Trying to restart job" in driver.text()
    assert resumed(site.folder, "train_model", "slow")
    assert resumed(site.folder, "synthesize_metamers", "still/final/000")
    assert_same(site.folder, undisturbed, SLOW, FINAL)
    assert_clean(site.folder)


def test_cancelled_job_is_retried_and_goes_on(site, undisturbed):
    """Scancel of a running job: seen at once, retried, resumed."""
    driver = site.start(RELU0)
    job = site.job_of(driver, "synthesize_metamers")
    site.state_of(RELU0)
    subprocess.run(["scancel", str(job.number)], check=True)
    assert driver.ends() == 0, driver.text()[-3000:]
    jobs = site.jobs(driver)
    assert states(jobs, "synthesize_metamers") == ["CANCELLED", "COMPLETED"]
    assert len(jobs) == 2, "what was made was made again"
    assert "SLURM status is: 'CANCELLED'" in driver.text()
    assert resumed(site.folder, "synthesize_metamers", "still/relu0/000")
    assert_same(site.folder, undisturbed, RELU0)
    assert_clean(site.folder)


def test_too_little_memory_is_retried_with_more(site, undisturbed):
    """OUT_OF_MEMORY (FAILED where control groups are not to be had): more next time."""
    driver = site.run("--set-resources", "train_model:mem_mb=330*attempt**3", QUICK)
    found = states(site.jobs(driver), "train_model")
    assert found[0] in ("OUT_OF_MEMORY", "FAILED")
    assert found[-1] == "COMPLETED"
    assert_same(site.folder, undisturbed, QUICK)


def test_lost_node_is_left_and_the_job_goes_on_elsewhere(site, undisturbed):
    """NODE_FAIL: retried on the other node, from the state on the shared disk."""
    here = ["--set-resources", "synthesize_metamers:slurm_partition=cpu"]
    driver = site.start(*here, RELU0)
    job = site.job_of(driver, "synthesize_metamers")
    site.state_of(RELU0)
    site.cluster.kill_node(job.node)
    assert driver.ends() == 0, driver.text()[-3000:]
    jobs = [j for j in site.jobs(driver) if j.rule == "synthesize_metamers"]
    assert [j.state for j in jobs] == ["NODE_FAIL", "COMPLETED"]
    assert jobs[0].node != jobs[1].node
    assert resumed(site.folder, "synthesize_metamers", "still/relu0/000")
    assert_same(site.folder, undisturbed, RELU0)


def test_controller_away_for_a_while(site, undisturbed):
    """The driver asks again until the controller is back; the job never noticed."""
    driver = site.start(RELU0, accounting=False)
    site.job_of(driver, "synthesize_metamers")
    site.cluster.stop_controller()
    pause(15)
    assert driver.process.poll() is None, driver.text()[-3000:]
    site.cluster.start_controller()
    assert driver.ends() == 0, driver.text()[-3000:]
    assert states(site.jobs(driver), "synthesize_metamers") == ["COMPLETED"]
    assert_same(site.folder, undisturbed, RELU0)


def test_killed_driver_is_started_again(site, undisturbed):
    """kill -9 of the driver: cancel its jobs, unlock, start again, nothing is lost."""
    driver = site.start(QUICK, RELU0)
    prefix = driver.prefix()
    site.state_of(RELU0)
    os.killpg(driver.process.pid, signal.SIGKILL)
    driver.process.wait()
    refused = site.start(QUICK, RELU0)
    assert refused.ends() != 0
    assert "LockException" in refused.text()
    # As docs/slurm.md says: the jobs of the dead driver by the names that they have.
    listed = subprocess.run(
        ["squeue", "-h", "-o", "%i %j"], capture_output=True, text=True, check=True
    )
    mine = [line.split()[0] for line in listed.stdout.splitlines() if prefix in line]
    subprocess.run(["scancel", *mine], check=True)
    subprocess.run(["sleep", "6"], check=True)
    assert site.start("--unlock").ends() == 0
    again = site.run(QUICK, RELU0)
    assert_same(site.folder, undisturbed, QUICK, RELU0)
    assert resumed(site.folder, "synthesize_metamers", "still/relu0/000")
    assert not states(site.jobs(again), "prepare_stimuli")
    assert_clean(site.folder)


def test_two_drivers_by_mistake(site, undisturbed):
    """The second is refused before it submits anything; the first is not disturbed."""
    driver = site.start(RELU0)
    site.job_of(driver, "synthesize_metamers")
    second = site.start(RELU0)
    assert second.ends() != 0
    assert "LockException" in second.text()
    assert "submitted with SLURM jobid" not in second.text()
    assert driver.ends() == 0
    assert states(site.jobs(driver), "synthesize_metamers") == ["COMPLETED"]
    assert_same(site.folder, undisturbed, RELU0)


def test_full_disk_leaves_nothing_half_written(site, undisturbed):
    """ENOSPC: the job says so, no output appears; with room, it is made."""
    folder = site.folder / "results/faults/metamers"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        driver = site.start("--retries", "0", RELU0)
        assert driver.ends() != 0
        assert re.search("No space left|errno = 28|ENOSPC", driver.text())
        assert not (site.folder / RELU0).exists()
        subprocess.run(
            ["mount", "-o", "remount,size=64m", "tmpfs", str(folder)], check=True
        )
        again = site.run(RELU0)
        assert states(site.jobs(again), "synthesize_metamers") == ["COMPLETED"]
        assert_same(site.folder, undisturbed, RELU0)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_interrupted_once_and_twice(site, undisturbed):
    """Ctrl-C cancels the jobs, after a while; the same command goes on."""
    for presses in (1, 2):
        driver = site.start(FINAL)
        site.job_of(driver, "synthesize_metamers")
        site.state_of(FINAL)
        for _ in range(presses):
            os.kill(driver.process.pid, signal.SIGINT)
            pause(0.5)
        assert driver.ends() != 0
        assert "Terminating processes on user request" in driver.text()
        assert states(site.jobs(driver), "synthesize_metamers") == ["CANCELLED"]
        if list((site.folder / ".snakemake/locks").glob("*")):
            assert site.start("--unlock").ends() == 0
    site.run(FINAL)
    assert resumed(site.folder, "synthesize_metamers", "still/final/000")
    assert_same(site.folder, undisturbed, FINAL)
    assert_clean(site.folder)

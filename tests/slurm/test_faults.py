"""What happens when something is killed, on a real Slurm.

Each test says what the user sees, that the results are those of an undisturbed run bit
for bit, and by the exact list of jobs that nothing that was made was made again: the
stimuli and the untrained network are there from the beginning.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

from driving import MADE, PATIENCE, TRAINED, assert_clean, assert_same, documented
from processes import wait_until

QUICK, SLOW = TRAINED.format(model="quick"), TRAINED.format(model="slow")
FINAL = MADE.format(model="still", stage="final")


def log_of(folder, rule, name):
    path = folder / f"logs/faults/{rule}/{name}.log"
    return path.read_text() if path.is_file() else ""


def resumed(folder, rule, name):
    """Say whether the last attempt at a job went on from a saved state."""
    return "resuming from" in log_of(folder, rule, name)


def assert_final_resumed(site):
    assert resumed(site.folder, "synthesize_metamers", "still/final/000")


def test_time_limit_in_training_and_in_synthesis(site, undisturbed):
    """TIMEOUT: the job goes on where it was, with a longer limit."""
    limits = ["train_model:runtime=10*attempt"]
    limits += ["synthesize_metamers:runtime=10*attempt"]
    driver = site.start(SLOW, FINAL, options=["--set-resources", *limits])
    for rule, path in (("train_model", SLOW), ("synthesize_metamers", FINAL)):
        job = site.job_of(driver, rule)
        site.state_of(path)
        site.cluster.end_time_of(job)
    driver.ends_well()
    assert site.ran(driver) == {
        "train_model": ["TIMEOUT", "COMPLETED"],
        "synthesize_metamers": ["TIMEOUT", "COMPLETED"],
    }
    again = [j.limit for j in site.ended(driver.prefix()) if j.state == "COMPLETED"]
    assert again == ["20:00", "20:00"]
    assert "SLURM status is: 'TIMEOUT'" in driver.text()
    assert "Trying to restart job" in driver.text()
    assert resumed(site.folder, "train_model", "slow")
    assert_final_resumed(site)
    assert_same(site.folder, undisturbed, SLOW, FINAL)
    assert_clean(site.folder)


def test_cancelled_job_and_too_little_memory_and_a_second_driver(site, undisturbed):
    """All at once: each job is retried; the second driver disturbs nothing.

    Scancel of a running job is seen at once, and it goes on where it was. A job over
    its memory (OUT_OF_MEMORY; FAILED where control groups are not to be had) gets more.
    The second driver is refused before it submits anything.
    """
    memory = ["--set-resources", "train_model:mem_mb=330*attempt**3"]
    driver = site.start(QUICK, FINAL, options=memory)
    job = site.job_of(driver, "synthesize_metamers")
    site.state_of(FINAL)
    subprocess.run(["scancel", str(job.number)], check=True)
    second = site.start(QUICK, FINAL)
    assert second.ends() != 0
    assert "LockException" in second.text()
    assert "submitted with SLURM jobid" not in second.text()
    # It has not even begun to speak to Slurm.
    assert "SLURM run ID" not in second.text()
    driver.ends_well()
    ran = site.ran(driver)
    assert ran["train_model"][0] in ("OUT_OF_MEMORY", "FAILED")
    assert ran["train_model"][1:] == ["COMPLETED"]
    assert ran["synthesize_metamers"] == ["CANCELLED", "COMPLETED"]
    assert set(ran) == {"train_model", "synthesize_metamers"}
    assert "SLURM status is: 'CANCELLED'" in driver.text()
    assert_final_resumed(site)
    assert_same(site.folder, undisturbed, QUICK, FINAL)
    assert_clean(site.folder)


def test_lost_node_is_left_and_the_job_goes_on_elsewhere(site, undisturbed):
    """NODE_FAIL: retried on the other node, from the state on the shared disk."""
    here = ["--set-resources", "synthesize_metamers:slurm_partition=cpu"]
    driver = site.start(FINAL, options=here)
    job = site.job_of(driver, "synthesize_metamers")
    site.state_of(FINAL)
    site.cluster.kill_node(job.node)
    driver.ends_well()
    assert site.ran(driver) == {"synthesize_metamers": ["NODE_FAIL", "COMPLETED"]}
    first, second = site.ended(driver.prefix())
    assert first.node != second.node
    assert_final_resumed(site)
    assert_same(site.folder, undisturbed, FINAL)
    assert_clean(site.folder)


def test_controller_away_for_a_while(site, undisturbed):
    """The driver asks again until the controller is back; the job never noticed."""
    # It says only then how often it has asked in vain.
    driver = site.start(FINAL, options=["--verbose"], accounting=False)
    site.job_of(driver, "synthesize_metamers")
    # Slurm cannot start the job's step without it; from here on the job needs it not.
    site.state_of(FINAL)
    site.cluster.stop_controller()
    # One more than the plugin's own patience.
    driver.says("(?s)" + 6 * "could not check status of job.*")
    assert not driver.has_ended(), driver.tail()
    site.cluster.start_controller()
    driver.ends_well()
    assert site.ran(driver) == {"synthesize_metamers": ["COMPLETED"]}
    assert not resumed(site.folder, "synthesize_metamers", "still/final/000")
    assert_same(site.folder, undisturbed, FINAL)
    assert_clean(site.folder)


def test_killed_driver_is_started_again(site, undisturbed):
    """kill -9 of the driver: cancel its jobs, unlock, start again, nothing is lost."""
    driver = site.start(QUICK, FINAL)
    prefix = driver.prefix()
    site.job_of(driver, "synthesize_metamers")
    site.state_of(FINAL)
    os.killpg(driver.process.pid, signal.SIGKILL)
    driver.ends()
    refused = site.start(QUICK, FINAL)
    assert refused.ends() != 0
    assert "LockException" in refused.text()
    begun = site.cluster.jobs(prefix)
    assert any(job.state == "RUNNING" for job in begun), "they do not go on without it"
    cancel, rest = documented("The driver was killed").split("snakemake --unlock\n")
    assert rest == "snakemake --profile slurm\n"
    subprocess.run(["bash", "-e", "-c", cancel], cwd=site.folder, check=True)
    # None is even about to end, in which its work could still write.
    after = site.cluster.jobs(prefix)
    assert {job.state for job in after} <= {"CANCELLED", "COMPLETED"}, after
    assert len(after) == len(begun)
    before = {job.rule for job in after if job.state == "COMPLETED"}
    made = (site.folder / QUICK).exists()
    site.unlock()
    again = site.start(QUICK, FINAL)
    again.ends_well()
    ran = site.ran(again)
    assert ran.pop("synthesize_metamers") == ["COMPLETED"]
    if "train_model" in before:
        assert not ran, "what was made was made again"
    elif not made:
        assert ran == {"train_model": ["COMPLETED"]}
    # Cancelled with its output written, the job had perhaps ended for Snakemake.
    assert_final_resumed(site)
    assert_same(site.folder, undisturbed, QUICK, FINAL)
    assert_clean(site.folder)


def test_full_disk_leaves_nothing_half_written(site, undisturbed):
    """ENOSPC: the job says so, no output appears; with room, it is made."""
    folder = site.folder / "results/faults/metamers"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        driver = site.start(FINAL, options=["--retries", "0"])
        assert driver.ends() != 0
        assert re.search("No space left|errno = 28|ENOSPC", driver.text())
        assert site.ran(driver) == {"synthesize_metamers": ["FAILED"]}
        assert not (site.folder / FINAL).exists()
        subprocess.run(
            ["mount", "-o", "remount,size=64m", "tmpfs", str(folder)], check=True
        )
        again = site.start(FINAL)
        again.ends_well()
        assert site.ran(again) == {"synthesize_metamers": ["COMPLETED"]}
        assert_same(site.folder, undisturbed, FINAL)
        assert_clean(site.folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_interrupted_once_and_twice(site, undisturbed):
    """Ctrl-C cancels the jobs, after a while; the same command goes on."""
    for presses in (1, 2):
        # It ends when it would look next, so that there is time to press again.
        driver = site.start(FINAL, longest_wait=8)
        site.job_of(driver, "synthesize_metamers")
        site.state_of(FINAL)
        if presses == 2:
            wait_until(
                lambda: resumed(site.folder, "synthesize_metamers", "still/final/000"),
                PATIENCE,
                "the synthesis goes on",
                driver.tail,
            )
        os.kill(driver.process.pid, signal.SIGINT)
        driver.says("Terminating processes on user request")
        if presses == 2:
            assert not driver.has_ended(), "it ended before the second press"
            os.kill(driver.process.pid, signal.SIGINT)
        assert driver.ends() != 0
        assert site.ran(driver) == {"synthesize_metamers": ["CANCELLED"]}
        if list((site.folder / ".snakemake/locks").glob("*")):
            site.unlock()
    last = site.start(FINAL)
    last.ends_well()
    assert site.ran(last) == {"synthesize_metamers": ["COMPLETED"]}
    assert_final_resumed(site)
    assert_same(site.folder, undisturbed, FINAL)
    assert_clean(site.folder)


def test_requeued_job_goes_on_under_its_number(site, undisturbed):
    """What Slurm does to a job that it preempts, with the profile's line for that."""
    profile = site.folder / "profiles/slurm/profile.v9+.yaml"
    text = profile.read_text()
    assert "\nslurm-no-requeue: true\n" in text
    profile.write_text(text.replace("\nslurm-no-requeue:", "\nslurm-requeue:"))
    driver = site.start(FINAL)
    job = site.job_of(driver, "synthesize_metamers")
    site.state_of(FINAL)
    subprocess.run(["scontrol", "requeue", str(job.number)], check=True)
    driver.ends_well()
    (after,) = site.ended(driver.prefix())
    assert (after.number, after.state) == (job.number, "COMPLETED")
    assert "Trying to restart job" not in driver.text()
    assert_final_resumed(site)
    assert_same(site.folder, undisturbed, FINAL)
    assert_clean(site.folder)

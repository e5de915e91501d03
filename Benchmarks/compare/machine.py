"""The machine that the figures are of: what it is, and how busy it was."""

import os
import platform
import resource
import subprocess


def first(path, name, default="unknown"):
    """The value of a line `name: value` of a file."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(name):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return default


def swift():
    try:
        done = subprocess.run(["swift", "--version"], capture_output=True, text=True, timeout=60)
        words = done.stdout.split("Swift version ")
        return "Swift " + words[1].split()[0] if len(words) > 1 else "Swift"
    except (OSError, subprocess.TimeoutExpired):
        return "Swift"


def revision(folder):
    done = subprocess.run(["git", "-C", folder, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def available_bytes():
    return int(first("/proc/meminfo", "MemAvailable", "0 kB").split()[0]) * 1024


def describe(folder):
    gigabytes = int(first("/proc/meminfo", "MemTotal", "0 kB").split()[0]) / 1024 / 1024
    return (
        f"{os.cpu_count()} processors ({first('/proc/cpuinfo', 'model name')}), {gigabytes:.0f} GiB, {platform.system()}"
        f" {platform.release()}, {swift()}, release build of {revision(folder)}. {resource.getrlimit(resource.RLIMIT_NOFILE)[1]:,}"
        " descriptors a process, hard."
    )


def load_average():
    return f"{os.getloadavg()[0]:.1f}"

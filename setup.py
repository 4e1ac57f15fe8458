"""Maps the top-level folders to packages; new subpackages are found without editing a list."""

from setuptools import find_packages, setup

FOLDERS = {
    "shardtape": "framework",
    "shardtape.protos": "protos",
    "shardtape.ps": "ps",
    "shardtape.workers": "workers",
    "shardtape.deploy": "deploy",
}

setup(
    package_dir=FOLDERS,
    py_modules=["shardtape_command"],
    packages=[
        package
        for name, folder in FOLDERS.items()
        for package in (name, *(f"{name}.{sub}" for sub in find_packages(folder)))
    ],
)

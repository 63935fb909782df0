# Prints the Python distributions of an image as JSON: version, top-level modules and requirements.
import json
import re
from importlib.metadata import distributions, packages_distributions

modules = packages_distributions().items()
print(
    json.dumps([
        {
            "name": found.metadata["Name"],
            "version": found.version,
            "modules": sorted(module for module, names in modules if found.metadata["Name"] in names),
            "requires": [
                re.match(r"[A-Za-z0-9._-]+", line)[0] for line in found.requires or [] if "extra ==" not in line
            ],
        }
        for found in distributions()
    ])
)

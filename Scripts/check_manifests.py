"""Checks everything under deploy/ and .runpod/ that a machine can check: run by Scripts/check-manifests.sh.

Kubernetes manifests against the published schemas of each supported version (kubernetes-validate), KEDA's against its models
(cloudcoil-models-keda, KEDA 2.16), compose.yaml against the compose specification (compose-spec), and what no schema knows: that names which
refer to each other meet, that containers give up what they can, that workers' addresses are those the gateway makes.
"""

import copy
import json
import pathlib
import re
import sys

import compose_spec
import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
OLDEST = (1, 29)
problems = []
count = 0


def problem(place, text):
    problems.append(f"{place}: {text}")


def name_of(document):
    return f"{document['kind']}/{document['metadata']['name']}"


def read(folder):
    for file in sorted((DEPLOY / "kubernetes" / folder).glob("*.yaml")):
        if file.name.endswith(".patch.yaml"):
            continue
        for document in yaml.safe_load_all(file.read_text()):
            yield file.relative_to(ROOT), document


def check_schema(place, document):
    global count
    if document["apiVersion"].startswith("keda.sh/"):
        try:
            model = getattr(keda, document["kind"]).model_validate(document)
            # The models pass over what they do not know.
            if model.model_dump(by_alias=True, exclude_unset=True, mode="json") != document:
                problem(place, f"{name_of(document)}: has a field that KEDA does not know")
            count += 1
        except Exception as error:
            problem(place, f"{name_of(document)}: {error}")
        return
    for version in versions():
        try:
            kubernetes_validate.validate(document, version, strict=True)
            count += 1
        except kubernetes_validate.ValidationError as error:
            problem(place, f"{name_of(document)} with Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")


def versions():
    every = [tuple(map(int, version.split(".")[:2])) for version in kubernetes_validate.utils.all_versions()]
    return [f"{major}.{minor}" for major, minor in sorted(set(every)) if (major, minor) >= OLDEST]


def merged(base, patch):
    """A strategic merge, as far as our patches need it: lists of objects with a name are merged by it."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {key: merged(base[key], patch[key]) if key in base and key in patch else copy.deepcopy((patch if key in patch else base)[key])
                for key in [*base, *[key for key in patch if key not in base]]}
    if isinstance(base, list) and isinstance(patch, list) and all(isinstance(item, dict) and "name" in item for item in base + patch):
        result = {item["name"]: item for item in base}
        for item in patch:
            result[item["name"]] = merged(result[item["name"]], item) if item["name"] in result else item
        return list(result.values())
    return patch


def check_references(place, document, everything):
    """Selectors, volumes, configurations, secrets and accounts that a Deployment names."""
    pod = document["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for key, value in document["spec"]["selector"]["matchLabels"].items():
        if labels.get(key) != value:
            problem(place, f"{name_of(document)}: the selector's {key} is not among the pod's labels")
    spec = pod["spec"]
    account = spec.get("serviceAccountName")
    if account and f"ServiceAccount/{account}" not in everything:
        problem(place, f"{name_of(document)}: no ServiceAccount {account}")
    volumes = {}
    for volume in spec.get("volumes", []):
        volumes[volume["name"]] = volume
        if "configMap" in volume and f"ConfigMap/{volume['configMap']['name']}" not in everything:
            problem(place, f"{name_of(document)}: no ConfigMap {volume['configMap']['name']}")
        if "persistentVolumeClaim" in volume and f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}" not in everything:
            problem(place, f"{name_of(document)}: no claim {volume['persistentVolumeClaim']['claimName']}")
    secret_keys = set(everything["Secret/needletail-keys"]["stringData"]) | {"HF_TOKEN", "POSTGRES_PASSWORD"}
    for container in spec["containers"]:
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if container.get(probe, {}).get("httpGet", {}).get("port") not in ports:
                problem(place, f"{name_of(document)}: {probe} asks a port that the container does not name")
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                problem(place, f"{name_of(document)}: no volume {mount['name']}")
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and (f"Secret/{reference['name']}" not in everything or reference["key"] not in secret_keys):
                problem(place, f"{name_of(document)}: {variable['name']} is taken from {reference['name']}.{reference['key']}, which is not there")
            if "$(" in variable.get("value", ""):
                problem(place, f"{name_of(document)}: {variable['name']}: Kubernetes would expand {variable['value']}")
    check_hardening(place, document)


def check_hardening(place, document):
    spec = document["spec"]["template"]["spec"]
    security = spec.get("securityContext", {})
    wanted = {
        "runAsNonRoot": security.get("runAsNonRoot") is True,
        "seccompProfile": security.get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "terminationGracePeriodSeconds": spec.get("terminationGracePeriodSeconds", 30) > 30,
        "enableServiceLinks": spec.get("enableServiceLinks") is False,
    }
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        wanted |= {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
            "resources.limits.memory": "memory" in container.get("resources", {}).get("limits", {}),
        }
    for name, holds in wanted.items():
        if not holds:
            problem(place, f"{name_of(document)}: {name} is not as it must be")


def check_addresses(place, environment, endpoint, base):
    """The addresses as Sources/WorkerProtocol/WorkerAddresses.swift makes them for a worker that comes by itself."""
    source = (ROOT / "Sources/WorkerProtocol/WorkerAddresses.swift").read_text()
    paths = {
        "RUNPOD_WEBHOOK_GET_JOB": "job-take/$ID?gpu=0",
        "RUNPOD_WEBHOOK_POST_OUTPUT": "job-done/$RUNPOD_POD_ID/$ID?gpu=0",
        "RUNPOD_WEBHOOK_POST_STREAM": "job-stream/$RUNPOD_POD_ID/$ID?gpu=0",
        "RUNPOD_WEBHOOK_PING": "ping/$RUNPOD_POD_ID?gpu=0",
    }
    for name, path in paths.items():
        if name not in source:
            problem(place, f"{name} is no longer what WorkerAddresses.swift calls it")
        if environment.get(name) != f"{base}/v2/{endpoint}/{path}":
            problem(place, f"{name} is {environment.get(name)}, but must be {base}/v2/{endpoint}/{path}")
    if not environment.get("RUNPOD_AI_API_KEY"):
        problem(place, "RUNPOD_AI_API_KEY is missing")


def check_gateway(place, text, variables, environment_name="gateway.yaml"):
    """Keys must come from variables that are given, and the endpoint that the workers are for must be there."""
    settings = yaml.safe_load(text)
    for key in settings["keys"]:
        match = re.fullmatch(r"\$\{(\w+)\}", key["key"])
        if not match or match[1] not in variables:
            problem(place, f"{environment_name}: the key '{key['name']}' is not taken from a variable that is set")
    if "client" not in [key["role"] for key in settings["keys"]] or settings["endpoints"].keys() != {"chat"}:
        problem(place, f"{environment_name}: expected a client's key and the endpoint chat")
    if not settings["listen"].startswith("0.0.0.0:8080"):
        problem(place, f"{environment_name}: does not listen where the port is")
    return settings


def check_kubernetes():
    base = list(read("base"))
    secret = yaml.safe_load((DEPLOY / "kubernetes/secret.example.yaml").read_text())
    base.append((pathlib.Path("deploy/kubernetes/secret.example.yaml"), secret))
    everything = {name_of(document): document for _, document in base}
    options = list(read("options"))
    for place, document in base + options:
        check_schema(place, document)
        if document["kind"] != "Namespace" and document["metadata"].get("namespace") != "needletail":
            problem(place, f"{name_of(document)}: is in no namespace, or in another")
        if document["kind"] == "Deployment":
            check_references(place, document, everything)
        if document["kind"] == "ConfigMap":
            settings = check_gateway(place, document["data"]["gateway.yaml"], secret["stringData"])
            fleet = settings["endpoints"]["chat"]["provider"]["kubernetes"]
            if f"Deployment/{fleet['deployment']}" not in everything:
                problem(place, f"no Deployment {fleet['deployment']}")
        for selected in [document.get("spec", {}).get("selector")] if document["kind"] in ("Service", "PodDisruptionBudget") else []:
            labels = selected.get("matchLabels", selected)
            pods = [other["spec"]["template"]["metadata"]["labels"] for other in everything.values() if other["kind"] == "Deployment"]
            if not any(labels.items() <= pod.items() for pod in pods):
                problem(place, f"{name_of(document)}: selects no pod")
        if document["kind"] == "ScaledObject" and f"Deployment/{document['spec']['scaleTargetRef']['name']}" not in everything:
            problem(place, f"{name_of(document)}: scales nothing")

    worker = everything["Deployment/needletail-worker"]
    container = worker["spec"]["template"]["spec"]["containers"][0]
    environment = {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}
    check_addresses("worker", environment, "chat", "http://needletail-gateway:8080")
    if environment["RUNPOD_POD_ID"] != {"fieldRef": {"fieldPath": "metadata.name"}}:
        problem("worker", "RUNPOD_POD_ID must be the pod's name: by it the gateway finds the pod")
    if "replicas" in worker["spec"]:
        problem("worker", "replicas are the gateway's affair")
    rules = {(resource, verb) for rule in everything["Role/needletail-gateway"]["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    # As Sources/Providers/Kubernetes asks for them.
    needed = {("deployments/scale", "get"), ("deployments/scale", "patch"), ("pods", "list"), ("pods", "patch"), ("deployments", "get")}
    if rules != needed:
        problem("Role/needletail-gateway", f"grants {sorted(rules ^ needed)} too much or too little")

    patch = yaml.safe_load((DEPLOY / "kubernetes/options/worker-gpu.patch.yaml").read_text())
    patched = merged(worker, patch)
    check_schema("worker-gpu.patch.yaml", patched)
    limits = patched["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    if limits.get("nvidia.com/gpu") != 1 or "memory" not in limits:
        problem("worker-gpu.patch.yaml", "does not give one GPU to the container worker")


def interpolated(text):
    """`${NAME:-default}` and `${NAME:?message}` as compose would put values in, where no variable is set but those that must be."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "given", text).replace("$$", "$")


def check_compose():
    global count
    file = DEPLOY / "compose/compose.yaml"
    text = file.read_text()
    document = yaml.safe_load(text)
    try:
        # The library knows neither anchors nor variables.
        compose_spec.PyCompose.from_json(interpolated(json.dumps(document)))
        count += 1
    except Exception as error:
        problem(file.relative_to(ROOT), str(error))
    services = document["services"]
    for name, service in services.items():
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                problem(f"compose: {name}", f"opens {port} to the network")
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in document["volumes"]:
                problem(f"compose: {name}", f"no volume {volume}")
        for secret in service.get("secrets", []):
            if secret not in document["secrets"]:
                problem(f"compose: {name}", f"no secret {secret}")
    environment = {key: value.replace("$$", "$") for key, value in services["worker"]["environment"].items()}
    check_addresses("compose: worker", environment, "chat", "http://gateway:8080")
    settings = check_gateway("compose", (DEPLOY / "compose/gateway.yaml").read_text(), services["gateway"]["environment"])
    if settings["endpoints"]["chat"]["provider"] != "none":
        problem("compose", "the workers come by themselves: provider must be none")


def check_hub():
    hub = json.loads((ROOT / ".runpod/hub.json").read_text())
    tests = json.loads((ROOT / ".runpod/tests.json").read_text())
    for key, kind in {"title": str, "description": str, "type": str, "category": str, "config": dict}.items():
        if not isinstance(hub.get(key), kind):
            problem(".runpod/hub.json", f"{key} is missing")
    config = hub["config"]
    if config["runsOn"] == "CPU" and "cpuFlavor" not in config or "cpuFlavor" not in tests["config"]:
        problem(".runpod", "runsOn CPU needs a cpuFlavor")
    known = {entry["key"] for entry in config["env"]}
    for entry in config["env"]:
        given = entry["input"]
        if not {"name", "type", "description"} <= given.keys() or given["type"] not in ("string", "number", "boolean", "huggingface"):
            problem(".runpod/hub.json", f"{entry['key']}: name, description or a known type is missing")
        if "options" in given and given["default"] not in [option["value"] for option in given["options"]]:
            problem(".runpod/hub.json", f"{entry['key']}: the default is none of the options")
    used = {key for preset in config["presets"] for key in preset["defaults"]} | {entry["key"] for entry in tests["config"]["env"]}
    if not used <= known:
        problem(".runpod", f"{sorted(used - known)} are set but not declared in hub.json")
    if not tests["tests"] or any(not isinstance(test.get("input"), dict) for test in tests["tests"]):
        problem(".runpod/tests.json", "each test needs an input")


check_kubernetes()
check_compose()
check_hub()
for line in problems:
    print(line, file=sys.stderr)
if not problems:
    print(f"manifests: {count} schema checks (Kubernetes {versions()[0]} to {versions()[-1]}), references and hardening: well")
sys.exit(1 if problems else 0)

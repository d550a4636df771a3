#!/usr/bin/env bash
# Brings what the overlay stands on to a Kind cluster, then the overlay. Run it as often as you like: every step looks
# first, and does only what is missing.
#
#   config/kind/install.sh          everything, in order
#   config/kind/install.sh check    only say what is there and what is missing (exit status 1 when something is)
#   config/kind/install.sh STEP...  tools cluster gateway-api cert-manager istio kuadrant kserve maas-api overlay
#
# CLUSTER (default maas-local) names the Kind cluster, ENGINE (docker or podman) the container engine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091  # beside this file
. "$here/versions.env"
CLUSTER=${CLUSTER:-maas-local}
ENGINE=${ENGINE:-$(command -v docker >/dev/null 2>&1 && echo docker || echo podman)}
STEPS=(tools cluster gateway-api cert-manager istio kuadrant kserve maas-api overlay)
export KIND_EXPERIMENTAL_PROVIDER=$ENGINE # else kind takes docker wherever there is one

say() { printf '%-13s %s\n' "$1" "$2"; }
fail() { printf '%-13s MISSING: %s\n' "$1" "$2" >&2; exit 1; }
kube() { kubectl --context "kind-$CLUSTER" "$@"; }
available() { kube wait --for=condition=Available "deployment/$2" -n "$1" --timeout="${3:-1s}" >/dev/null 2>&1; }
crd() { kube get "crd/$1" >/dev/null 2>&1; }
await() { # namespace deployment...
  local namespace=$1; shift
  for name in "$@"; do
    available "$namespace" "$name" 300s || fail "$step" "deployment $namespace/$name is not available after 300 s; see: kubectl describe deployment $name -n $namespace"
  done
}
at_least() { # wanted found
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
tool() { # name found wanted where
  command -v "$1" >/dev/null 2>&1 || fail tools "$1 is not on the PATH; get it from $4"
  at_least "$3" "$2" || fail tools "$1 is $2, at least $3 is needed; get it from $4"
}

istioctl_version() { istioctl version --remote=false --short 2>/dev/null | sed -n 's/[^0-9]*\([0-9][0-9.]*\).*/\1/p' | tail -n 1; }

have_tools() {
  tool kubectl "$(kubectl version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": "v\([0-9.]*\).*/\1/p' | head -n 1)" "$NEED_KUBECTL" https://kubernetes.io/docs/tasks/tools/
  tool kind "$(kind version -q 2>/dev/null || kind version 2>/dev/null | sed 's/kind v\([0-9.]*\).*/\1/')" "$NEED_KIND" https://kind.sigs.k8s.io/docs/user/quick-start/#installation
  tool helm "$(helm version --template '{{.Version}}' 2>/dev/null | tr -d v)" "$NEED_HELM" https://helm.sh/docs/intro/install/
  tool istioctl "$(istioctl_version)" "$ISTIO" "https://github.com/istio/istio/releases/tag/$ISTIO"
  tool git "$(git --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')" 2.25 https://git-scm.com
  "$ENGINE" info >/dev/null 2>&1 || fail tools "$ENGINE does not answer; start it, or install docker or podman"
}
bring_tools() { have_tools; }

have_cluster() { grep -qx "$CLUSTER" <<<"$(kind get clusters 2>/dev/null)" && kube get nodes >/dev/null 2>&1; }
bring_cluster() { kind create cluster --name "$CLUSTER" --image "$KIND_NODE_IMAGE" --config "$here/cluster.yaml" --wait 180s; }

have_gateway_api() { crd gateways.gateway.networking.k8s.io && crd httproutes.gateway.networking.k8s.io; }
bring_gateway_api() { kube apply -f "https://github.com/kubernetes-sigs/gateway-api/releases/download/$GATEWAY_API/standard-install.yaml"; }

have_cert_manager() { available cert-manager cert-manager && available cert-manager cert-manager-webhook && available cert-manager cert-manager-cainjector; }
bring_cert_manager() {
  kube apply -f "https://github.com/cert-manager/cert-manager/releases/download/$CERT_MANAGER/cert-manager.yaml"
  await cert-manager cert-manager cert-manager-webhook cert-manager-cainjector
}

have_istio() { available istio-system istiod && kube get gatewayclass istio >/dev/null 2>&1; }
bring_istio() {
  [ "$(istioctl_version)" = "$ISTIO" ] || say istio "istioctl brings its own version, $(istioctl_version); pinned is $ISTIO"
  istioctl install --context "kind-$CLUSTER" --set profile=minimal --skip-confirmation
  await istio-system istiod
}

have_kuadrant() { crd tokenratelimitpolicies.kuadrant.io && available kuadrant-system kuadrant-operator-controller-manager; }
bring_kuadrant() {
  helm upgrade --install kuadrant-operator kuadrant-operator --repo https://kuadrant.io/helm-charts/ --version "$KUADRANT" \
    --kube-context "kind-$CLUSTER" --namespace kuadrant-system --create-namespace --wait --timeout 5m
}

# The preset must be KServe's own: the overlay's models are merged into its container "main".
have_kserve() {
  crd llminferenceservices.serving.kserve.io && available kserve llmisvc-controller-manager &&
    [ "$(kube get llminferenceserviceconfig kserve-config-llm-template -n kserve -o 'jsonpath={.spec.template.containers[*].name}' 2>/dev/null)" = main ]
}
bring_kserve() {
  local url="https://github.com/kserve/kserve/releases/download/$KSERVE/kserve.yaml" try
  # The objects of its own kinds are refused until its webhook, part of the same file, answers.
  for try in 1 2 3 4; do
    kube apply --server-side --force-conflicts -f "$url" && break
    [ "$try" = 4 ] && fail kserve "kubectl apply --server-side -f $url keeps failing; see the messages above"
    available kserve llmisvc-controller-manager 120s || true
  done
  await kserve llmisvc-controller-manager
}

# Not a pipe: `grep -q` leaves at the first match, and pipefail takes the writer's SIGPIPE for a failure.
node_has() { grep -q "$1" <<<"$("$ENGINE" exec "$CLUSTER-control-plane" crictl images 2>/dev/null)"; }
have_maas_api() { node_has 'localhost/maas-api  *dev' && node_has "ghcr.io/llm-d/llm-d-inference-sim  *$INFERENCE_SIM"; }
bring_maas_api() {
  local source
  source=$(mktemp -d)
  # shellcheck disable=SC2064  # the name is gone when the trap comes
  trap "rm -rf '$source'" EXIT
  git -C "$source" init --quiet
  git -C "$source" fetch --quiet --depth 1 "$MAAS_BILLING" "$MAAS_BILLING_COMMIT"
  git -C "$source" checkout --quiet FETCH_HEAD
  "$ENGINE" build --tag localhost/maas-api:dev "$source/maas-api"
  "$ENGINE" pull "ghcr.io/llm-d/llm-d-inference-sim:$INFERENCE_SIM"
  load localhost/maas-api:dev
  load "ghcr.io/llm-d/llm-d-inference-sim:$INFERENCE_SIM"
}
load() {
  if [ "$ENGINE" = docker ]; then
    kind load docker-image --name "$CLUSTER" "$1"
  else
    podman save --quiet "$1" | kind load image-archive --name "$CLUSTER" /dev/stdin
  fi
}

have_overlay() {
  kube diff -k "$here" >/dev/null 2>&1 &&
    [ "$(kube get service maas-gateway-istio -n istio-system -o 'jsonpath={.spec.ports[?(@.port==80)].nodePort}' 2>/dev/null)" = 30080 ]
}
bring_overlay() {
  kube apply -k "$here"
  kube wait --for=condition=Programmed gateway/maas-gateway -n istio-system --timeout=300s
  kube patch service maas-gateway-istio -n istio-system --patch '{"spec":{"ports":[{"port":80,"nodePort":30080}]}}'
  await maas-api maas-api
  kube wait --for=condition=Ready llminferenceservice/model-a llminferenceservice/model-b -n llm --timeout=300s
}

function_of() { printf '%s_%s' "$1" "${2//-/_}"; }
check() {
  local missing=0
  for step in "${STEPS[@]}"; do
    if ("$(function_of have "$step")") 2>/dev/null; then say "$step" there; else
      say "$step" "missing: $0 $step"
      missing=1
    fi
  done
  return $missing
}
bring() {
  for step in "$@"; do
    case " ${STEPS[*]} " in *" $step "*) ;; *) fail "$step" "no such step; there are: ${STEPS[*]}" ;; esac
    if [ "$step" != tools ] && ("$(function_of have "$step")") 2>/dev/null; then say "$step" there; continue; fi
    say "$step" ...
    "$(function_of bring "$step")"
    say "$step" "done"
  done
}

case ${1:-all} in
  all) bring "${STEPS[@]}"; say ready "pytest -m maas --modelrt-context=kind-$CLUSTER" ;;
  check) check ;;
  -h | --help | help) sed -n '2,9p' "$0" ;;
  *) bring "$@" ;;
esac

# shellcheck shell=dash disable=SC2034
# Services: nothing but what host.yaml says.

options="--config /group/host.yaml --memory 384"

prepare() { :; }

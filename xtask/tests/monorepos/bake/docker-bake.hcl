variable "TAG" {
  default = "dev"
}

group "default" {
  targets = ["plugin", "server"]
}

target "_common" {
  args = {
    EDITION = "open"
  }
}

target "base" {
  context    = "base"
  tags       = ["studio/base:${TAG}"]
}

target "plugin" {
  name       = "plugin-${item}"
  matrix     = { item = ["audio", "video"] }
  inherits   = ["_common"]
  context    = "plugins"
  dockerfile = "${item}/Dockerfile"
  target     = "run"
  contexts   = { studio-base = "target:base" }
  tags       = ["studio/plugin-${item}:${TAG}"]
}

target "server" {
  inherits   = ["_common"]
  contexts   = { studio-base = "target:base", licences = "legal" }
  dockerfile = "server/Dockerfile"
  tags       = ["studio/server:${TAG}", "studio/server:latest"]
}

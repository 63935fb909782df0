# -*- encoding: utf-8 -*-
# stub: fastsum 0.1.0 ruby lib
# stub: ext/fastsum/extconf.rb

Gem::Specification.new do |s|
  s.name = "fastsum".freeze
  s.version = "0.1.0"

  s.required_rubygems_version = Gem::Requirement.new(">= 0".freeze) if s.respond_to? :required_rubygems_version=
  s.require_paths = ["lib".freeze]
  s.authors = ["x".freeze]
  s.date = "2026-11-30"
  s.extensions = ["ext/fastsum/extconf.rb".freeze]
  s.files = ["ext/fastsum/extconf.rb".freeze]
  s.licenses = ["MIT".freeze]
  s.rubygems_version = "3.3.15".freeze
  s.summary = "x".freeze

  s.installed_by_version = "3.3.15" if s.respond_to? :installed_by_version
end

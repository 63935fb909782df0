Gem::Specification.new do |spec|
  spec.name = 'a-b'
  spec.version = Gem::Version.new('3.0')
  spec.executables = %w[a]
end

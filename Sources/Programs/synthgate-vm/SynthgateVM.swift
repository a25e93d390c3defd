import ArgumentParser

@main
struct SynthgateVM: ParsableCommand {
  func run() {}
}

@main
struct Synthgate {
  static func main() {}
}

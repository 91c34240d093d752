import ArgumentParser
import Server

enum Version {
    static let text = ServerVersion.text
}

/// `needletail version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    func run() {
        Terminal.print("needletail \(Version.text)")
    }
}

import ArgumentParser
import Gateway
import Jobs

/// `needletail gateway-key`.
struct GatewayKey: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway-key",
        abstract: "Make a key for a gateway: the key itself, for the client, and its entry in the definition file.",
        discussion: "The key is shown once and kept nowhere; the file holds its hash. A running gateway makes keys, too: POST /admin/api/keys.")

    @Argument(help: "Name of the key, for logs and for removing it: letters, digits, '-' and '_'.")
    var name: String

    @Option(help: "What it opens: client (jobs and OpenAI), worker (taking jobs) or admin (dashboard and admin API).")
    var role = AccessKey.Role.client

    @Option(help: "Endpoint that it opens; give it again for more. Left out: all.")
    var endpoint: [String] = []

    func validate() throws {
        for name in [name] + endpoint where !name.isURLName {
            throw ValidationError("'\(name)' may hold letters, digits, '-' and '_' only, 128 at most")
        }
    }

    func run() throws {
        let key = AccessKeyText.make(role: role)
        let scope = endpoint.isEmpty ? "" : ", endpoints: [\(endpoint.joined(separator: ", "))]"
        Terminal.error("Under 'keys' in the definition file:")
        Terminal.error("  - {name: \(name), role: \(role.rawValue), hash: \"\(AccessKeyText.written(key.hash))\"\(scope)}")
        Terminal.error("The key, shown only now:")
        Terminal.print(key.text)
    }
}

extension AccessKey.Role: ExpressibleByArgument {}

package import Jobs
internal import Glibc
internal import JSON
internal import NIOHTTP1
internal import Synchronization

/// Workers as replicas of a Deployment, by the API server's REST API: `deployments/NAME/scale` is read and patched, pods are listed for reasons, and
/// the annotation `controller.kubernetes.io/pod-deletion-cost` tells which go first. A worker's id must be its pod's name (`RUNPOD_POD_ID` from
/// `metadata.name` by the downward API).
///
/// Rights needed in the namespace: get deployments; get, patch deployments/scale; list, patch pods.
package final class KubernetesProvider: FleetProvider {
    private let client: PlatformClient
    private let namespace: String
    private let deployment: String
    /// Costs that pods have been given.
    private let costs = Mutex<[WorkerID: Int]>([:])

    /// What a pod finds about its cluster.
    package struct InCluster: Sendable {
        package var host: String?
        package var port: String?
        package var folder = "/var/run/secrets/kubernetes.io/serviceaccount"

        package init(
            host: String? = getenv("KUBERNETES_SERVICE_HOST").map { String(cString: $0) },
            port: String? = getenv("KUBERNETES_SERVICE_PORT").map { String(cString: $0) }
        ) {
            self.host = host
            self.port = port
        }

        var address: String? {
            guard let host, !host.isEmpty else { return nil }
            return "https://\(host.contains(":") ? "[\(host)]" : host):\(port ?? "443")"
        }
    }

    /// Without an `address` it is the cluster that this program runs in, with its service account.
    package init(_ definition: ProviderDefinition, inCluster: InCluster = InCluster()) throws(ProviderError) {
        guard let deployment = definition.deployment else { throw ProviderError("Kubernetes: 'deployment' is missing: the name of the workers' Deployment") }
        guard let address = definition.address ?? inCluster.address else {
            throw ProviderError("Kubernetes: 'address' is missing, and this program does not run in a cluster (no KUBERNETES_SERVICE_HOST)")
        }
        let isInCluster = definition.address == nil
        func mounted(_ name: String) -> String? { isInCluster ? "\(inCluster.folder)/\(name)" : nil }
        let ownNamespace = mounted("namespace").flatMap { SmallFile.read($0, limit: 1024) }.map { String(decoding: $0, as: UTF8.self).trimmingLineEnds() }
        namespace = definition.namespace ?? ownNamespace ?? "default"
        self.deployment = deployment
        for (key, name) in [("namespace", namespace), ("deployment", deployment)] where !name.isKubernetesName {
            throw ProviderError("Kubernetes: '\(name.shortened(80))' in '\(key)' is no name (small letters, digits, '-' and '.')")
        }
        client = try PlatformClient(
            name: "Kubernetes", base: address, tokenFile: definition.tokenFile ?? mounted("token"),
            authorityFile: definition.certificateAuthorityFile ?? mounted("ca.crt"))
    }

    /// Call once, last.
    package func close() async { await client.close() }

    @discardableResult
    package func scale(to count: Int) async throws(ProviderError) -> Int {
        let before = try await readScale().wanted
        guard before != count else { return before }
        let patch: JSONValue = ["spec": ["replicas": .int(count)]]
        // A conflict says that somebody else changed it in between; the patch itself names no version, so it can simply be sent again.
        for attempt in 1... {
            let answer = try await client.send(.PATCH, scalePath, body: (Self.mergePatch, patch))
            if answer.status == 409, attempt < 3 { continue }
            guard (200..<300).contains(answer.status) else { throw refusal(answer, "patch deployments/scale") }
            break
        }
        return before
    }

    package func fleet() async throws(ProviderError) -> FleetState {
        let scale = try await readScale()
        guard scale.wanted > 0 || scale.present > 0 else { return FleetState(wanted: 0, ready: 0) }
        var state = FleetState(wanted: scale.wanted, ready: 0)
        let pods = try await client.send(.GET, "/api/v1/namespaces/\(namespace)/pods?limit=500&labelSelector=\(scale.selector.percentEncoded)", limit: 64 << 20)
        guard pods.status == 200 else { throw refusal(pods, "list pods") }
        let statuses = (pods.json["items"]?.array ?? []).map(PodStatus.init)
        state.ready = statuses.count(where: \.isReady)
        let names = Set(statuses.map { WorkerID($0.name) })
        costs.withLock { $0 = $0.filter { names.contains($0.key) } }
        guard state.ready < state.wanted else { return state }
        state.reason = PodStatus.reason(of: statuses)
        if state.reason == nil, statuses.count < state.wanted {
            // No pods to ask: a quota, an admission refusal.
            let answer = try await client.send(.GET, deploymentPath)
            guard answer.status == 200 else { throw refusal(answer, "get deployments") }
            state.reason = PodStatus.failure(deployment: answer.json)
        }
        return state
    }

    /// Meant to be called before a `scale` downwards. Pods that cannot be told are passed over.
    package func rank(_ wanted: [WorkerID: Int]) async {
        let changed = costs.withLock { known in wanted.filter { known[$0.key] != $0.value } }
        await withTaskGroup(of: (WorkerID, Int)?.self) { group in
            var rest = changed.sorted { $0.key < $1.key }[...]
            func next() {
                guard let (pod, cost) = rest.popFirst() else { return }
                group.addTask { await self.rank(pod, cost) ? (pod, cost) : nil }
            }
            for _ in 0..<8 { next() }
            for await done in group {
                if let (pod, cost) = done { costs.withLock { $0[pod] = cost } }
                next()
            }
        }
    }

    // MARK: -

    private static let mergePatch = "application/merge-patch+json"
    private var deploymentPath: String { "/apis/apps/v1/namespaces/\(namespace)/deployments/\(deployment)" }
    private var scalePath: String { deploymentPath + "/scale" }

    private func rank(_ pod: WorkerID, _ cost: Int) async -> Bool {
        guard pod.text.isKubernetesName else { return false }
        let value = String(max(Int(Int32.min), min(Int(Int32.max), cost)))
        let patch: JSONValue = ["metadata": ["annotations": ["controller.kubernetes.io/pod-deletion-cost": .string(value)]]]
        let answer = try? await client.send(.PATCH, "/api/v1/namespaces/\(namespace)/pods/\(pod)", body: (Self.mergePatch, patch))
        return answer.map { (200..<300).contains($0.status) } ?? false
    }

    private func readScale() async throws(ProviderError) -> (wanted: Int, present: Int, selector: String) {
        let answer = try await client.send(.GET, scalePath)
        guard answer.status == 200 else { throw refusal(answer, "get deployments/scale") }
        let json = answer.json
        guard json["kind"]?.string == "Scale" else {
            throw ProviderError("Kubernetes at \(client.base) answers with something else than a Scale; is 'address' an API server?")
        }
        // The server leaves zeros out.
        return (json["spec"]?["replicas"]?.int ?? 0, json["status"]?["replicas"]?.int ?? 0, json["status"]?["selector"]?.string ?? "")
    }

    private func refusal(_ answer: PlatformClient.Answer, _ verb: String) -> ProviderError {
        let place = "Kubernetes at \(client.base)"
        let message = answer.json["message"]?.string.map { OneLine.text($0).shortened(300) } ?? answer.text
        switch answer.status {
        case 401: return ProviderError("\(place) does not accept the token (401); check 'tokenFile'")
        case 403: return ProviderError("\(place) forbids to \(verb) in namespace \(namespace) (403); the service account needs that right: \(message)")
        case 404: return ProviderError("\(place) has no Deployment '\(deployment)' in namespace '\(namespace)' (404): \(message)")
        case 409: return ProviderError("\(place): Deployment '\(deployment)' is being changed by others (409): \(message)", isCapacity: true)
        case 429, 500...: return ProviderError("\(place) failed to \(verb) (\(answer.status)): \(message)", isCapacity: true)
        default: return ProviderError("\(place) refuses to \(verb) (\(answer.status)): \(message)")
        }
    }
}

extension String {
    /// A DNS subdomain (RFC 1123), as names of objects are.
    var isKubernetesName: Bool {
        (1...253).contains(utf8.count) && first != "." && first != "-"
            && utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."): true
                default: false
                }
            }
    }
}

internal import NIOCore
internal import Synchronization

/// Connections on which workers post batch after batch in one request (`WorkerProtocol/BatchStream.swift`): they would hold up a shutdown.
final class LongPosts: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isCut = false
    }

    private let state = Mutex(State())

    /// - Returns: false where none is to begin any more.
    func open(_ channel: any Channel) -> Bool {
        state.withLock { state in
            if !state.isCut { state.channels[ObjectIdentifier(channel)] = channel }
            return !state.isCut
        }
    }

    func close(_ channel: any Channel) { state.withLock { $0.channels[ObjectIdentifier(channel)] = nil } }

    /// Closes them all. Workers post again elsewhere what they have no answer for.
    func cut() {
        let channels = state.withLock { state in
            state.isCut = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }
}

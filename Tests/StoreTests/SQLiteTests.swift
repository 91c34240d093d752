import Glibc
import Jobs
import SQLiteStore
import Testing

@Suite struct SQLiteTests {
    @Test func aSecondGatewayIsKeptOutAndTold() async throws {
        try await Backing.sqlite.withPlace { place in
            let store = try SQLiteStore(path: place)
            let error = #expect(throws: StoreError.self) { try SQLiteStore(path: place) }
            #expect("\(error!)".contains("another gateway (process \(getpid()))"))
            // Another name of the same file does not get around it.
            symlink(place, place + ".link")
            #expect(throws: StoreError.self) { try SQLiteStore(path: place + ".link") }
            await store.close()
            await (try SQLiteStore(path: place)).close()
        }
    }

    @Test func theFileIsItsOwnersAlone() async throws {
        try await Backing.sqlite.withPlace { place in
            let store = try SQLiteStore(path: place)
            try await store.submit([newJob()], .synced)
            for suffix in ["", "-wal", "-shm", ".lock"] {
                var status = stat()
                #expect(stat(place + suffix, &status) == 0 && status.st_mode & 0o777 == 0o600, "\(suffix)")
            }
            await store.close()
        }
    }

    @Test func whatIsNoDatabaseIsRefused() async throws {
        try await Backing.sqlite.withPlace { place in
            let file = fopen(place, "w")
            fputs(String(repeating: "this is a text, not a database\n", count: 100), file)
            fclose(file)
            let error = #expect(throws: StoreError.self) { try SQLiteStore(path: place) }
            #expect(error?.isTransient == false)
            #expect(throws: StoreError.self) { try SQLiteStore(path: "/nowhere/jobs.sqlite") }
        }
    }

    @Test func theFileShrinksAgain() async throws {
        try await Backing.sqlite.withPlace { place in
            let store = try SQLiteStore(path: place)
            let input = [UInt8](repeating: 7, count: 1 << 20)
            for number in 0..<40 { try await store.submit([newJob("j\(number)", input: input, timeToLive: 1000)], .committed) }
            #expect(try await store.expire(at: at(9000), limit: 100).count == 40)
            // Pages are given back between writes, a few at a time.
            for number in 0..<200 { try await store.submit([newJob("k\(number)")], .committed) }
            await store.close()
            var status = stat()
            #expect(stat(place, &status) == 0 && status.st_size < 20 << 20, "\(status.st_size) bytes are left")
        }
    }

    /// A process that submits is killed; all that it was told was committed is there.
    @Test(.enabled(if: Child.isThere(Child.products + "/store-bench"), "store-bench is not built"))
    func nothingAcknowledgedIsLostWhenTheProcessIsKilled() async throws {
        try await withFolder { folder in
            let place = folder + "/jobs.sqlite", output = folder + "/ids"
            var told = 0
            for round in 1...3 {
                let child = try Child([Child.products + "/store-bench", "sqlite:" + place, "submit-for-ever", "16"], output: output)
                defer { child.kill(SIGKILL) }
                #expect(try await eventually { Child.lines(output).count > told + 2000 * round })
                child.kill(SIGKILL)
                #expect(child.wait() == 128 + 9)
                let ids = Set(Child.lines(output))
                told = ids.count
                let store = try SQLiteStore(path: place)
                let stored = try await store.jobs(EndpointID("bench"), in: .inQueue, limit: .max)
                #expect(ids.subtracting(stored.map(\.id.text)).isEmpty)
                #expect(try await store.counts(EndpointID("bench")).inQueue == stored.count)
                await store.close()
            }
        }
    }
}

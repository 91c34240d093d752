import JSON
import Jobs
import Testing

@Suite struct EndpointDefinitionTests {
    @Test func readsWhatRunpodNames() throws {
        let json = try JSONValue(
            parsing: """
                {"workersMin": 1, "workersMax": 4, "idleTimeout": 7, "scalerType": "REQUEST_COUNT", "scalerValue": 3, "executionTimeoutMs": 5000,
                 "provider": {"process": {"command": ["python3", "handler.py"], "env": {"MODEL_NAME": "org/name", "MAX_NUM_SEQS": 8}}}}
                """)
        let definition = try EndpointDefinition(EndpointID("smol"), json)
        #expect(definition.scaling.rule == .requestCount && definition.scaling.value == 3 && definition.scaling.workersMax == 4)
        #expect(definition.executionTimeout == 5000)
        #expect(definition.provider.command == ["python3", "handler.py"])
        #expect(definition.provider.environment.map(\.value) == ["org/name", "8"])
    }

    @Test(arguments: [
        (#"{"workersMin": 5, "workersMax": 2}"#, "workersMin (5) is above workersMax (2)"),
        (#"{"idleTimeouts": 5}"#, "'idleTimeouts' is no setting here"),
        (#"{"scalerType": "FAST"}"#, "QUEUE_DELAY, REQUEST_COUNT"),
        (#"{"provider": {"ray": {}}}"#, "'address' is missing"),
        (#"{"provider": "docker"}"#, "'docker' is none of"),
        (#"[1]"#, "expected settings (an object), found array"),
    ])
    func namesWhatIsWrong(_ text: String, _ message: String) throws {
        let json = try JSONValue(parsing: text)
        let error = #expect(throws: DefinitionError.self) { try EndpointDefinition(EndpointID("smol"), json) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("smol") == true)
    }

    @Test func nullIsAsIfTheKeyWereNotThere() throws {
        let json = try JSONValue(parsing: #"{"workersMax": null, "scalerType": null, "provider": null, "maxConcurrency": null}"#)
        let definition = try EndpointDefinition(EndpointID("smol"), json)
        #expect(definition.scaling == ScalingSettings() && definition.maxConcurrency == nil)
    }

    @Test func idsLookLikeRunpods() {
        #expect(JobID.make(.runsync).text.wholeMatch(of: /sync-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-u1/) != nil)
        #expect(!"a/b".isURLName && !"".isURLName && "a-B_9".isURLName)
    }
}

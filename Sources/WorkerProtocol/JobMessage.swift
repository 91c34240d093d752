package import JSON

/// A job as a worker gets it: `{"id":…,"input":…,…,"needletail":{"attempt":1,"resume":{…}}}`.
package struct JobMessage: Sendable {
    package var id: String
    package var input: JSONValue
    /// Of this hand-out; nil from gateways that do not say.
    package var attempt: Int?
    /// Nil: start at the beginning.
    package var resume: ResumeState?

    package init(id: String, input: JSONValue, attempt: Int? = nil, resume: ResumeState? = nil) {
        self.id = id
        self.input = input
        self.attempt = attempt
        self.resume = resume
    }

    /// Nil where `id` or `input` is missing.
    package init?(_ json: JSONValue) {
        guard let id = json["id"]?.string, !id.isEmpty, let input = json["input"] else { return nil }
        let own = json["needletail"]
        self.init(id: id, input: input, attempt: own?["attempt"]?.int, resume: own?["resume"].flatMap(ResumeState.init))
    }

    /// Writes a job from raw JSON texts.
    /// - Parameters:
    ///   - input: JSON text.
    ///   - extras: JSON text of an object whose members are passed on; members named here win.
    package static func write(
        id: String, input: [UInt8], extras: [UInt8]?, attempt: Int, retries: Int, delayTime: Int, resume: ResumeState?, into writer: inout JSONWriter
    ) {
        writer.raw("{\"id\":")
        writer.string(id)
        writer.raw(",\"input\":")
        writer.bytes.append(contentsOf: input)
        writer.raw(",\"delayTime\":")
        writer.int(delayTime)
        if retries > 0 {
            writer.raw(",\"retries\":")
            writer.int(retries)
        }
        writer.raw(",\"needletail\":{\"attempt\":")
        writer.int(attempt)
        if let resume {
            writer.raw(",\"resume\":")
            resume.write(into: &writer)
        }
        writer.raw("}")
        if let extras, let members = (try? JSONValue(parsing: extras))?.object {
            for (key, value) in members.members where !["id", "input", "delayTime", "retries", "needletail"].contains(key) {
                writer.raw(",")
                writer.string(key)
                writer.raw(":")
                writer.value(value)
            }
        }
        writer.raw("}")
    }
}

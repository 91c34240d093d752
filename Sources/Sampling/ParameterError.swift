/// A sampling parameter out of its range, or two that contradict each other. Maps to HTTP 400.
package struct ParameterError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Name as the wire spells it, such as `top_p`.
    package let parameter: String
    /// The offending value, as text.
    package let value: String
    /// What was wanted, as the end of "<parameter> …".
    package let expectation: String

    package init(_ parameter: String, value: String, _ expectation: String) {
        self.parameter = parameter
        self.value = value
        self.expectation = expectation
    }

    package var description: String {
        "\(parameter) \(expectation) (parameter=\(parameter), value=\(value))"
    }
}

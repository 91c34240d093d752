/// Why a template did not compile or did not render.
package struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The template is not valid Jinja.
        case syntax
        /// The template called `raise_exception`; the message is the template author's, meant for the caller of the chat.
        case raised
        /// An operation failed while rendering (a wrong type, an attribute of an undefined value, …).
        case runtime
        /// The rendering would take more steps, memory or depth than `TemplateLimits` allows.
        case limit
    }

    package let kind: Kind
    package let message: String
    /// Line in the template, counted from 1; nil where it is not known.
    package internal(set) var line: Int?

    package init(_ kind: Kind, _ message: String, line: Int? = nil) {
        self.kind = kind
        self.message = message
        self.line = line
    }

    package var description: String {
        let place = line.map { " (template line \($0))" } ?? ""
        return switch kind {
        case .syntax: "chat template syntax error: \(message)\(place)"
        case .raised: message
        case .runtime: "chat template error: \(message)\(place)"
        case .limit: "chat template limit: \(message)\(place)"
        }
    }

    static func syntax(_ message: String, line: Int) -> TemplateError { TemplateError(.syntax, message, line: line) }
    static func runtime(_ message: String) -> TemplateError { TemplateError(.runtime, message) }
    static func limit(_ message: String) -> TemplateError { TemplateError(.limit, message) }
}

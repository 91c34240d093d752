/// What a calibration text told of the inputs of linear layers.
package struct Calibration: Sendable {
    /// Mean squared input of each column, by module.
    private var means: [String: [Float]] = [:]

    package init() {}

    func importance(of module: String) -> [Float]? { means[module] }
}

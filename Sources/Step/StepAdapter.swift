/// What a runner adds to its model for the sequences that ask for it (LoRA), made ready on any thread; its kind is the runner's business.
package protocol StepAdapter: AnyObject, Sendable {}

/// Why a runner does not take an adapter.
package struct StepAdapterError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

extension StepRunner {
    package func install(_ adapter: any StepAdapter, as id: Int32) throws { throw StepAdapterError("this model takes no adapters") }
    package func removeAdapter(_ id: Int32) {}
}

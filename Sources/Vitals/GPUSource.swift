// GPUSource: where the GPUs' figures come from: a library that is open, or one that is tried again in a while, as a driver may be
// installed, or come back, while the server runs. What the library says is NVML's.
import Base
import Domain

enum GPUSource: ~Copyable {
    /// Nothing is open, and nothing is tried before `retry`.
    case closed(retry: Instant?)
    case open(NVML)

    /// Between two tries: looking for a library that is not there costs some twenty system calls, and a driver that is broken seconds.
    static let retryInterval = TimeSpan.seconds(60)

    /// The GPUs now; nil where there is none that can be asked.
    mutating func gpus(by library: String, at now: Instant) -> [GPU]? {
        let nvml: NVML
        switch consume self {
        case .open(let kept):
            nvml = kept
        case .closed(let retry):
            if let retry, now < retry {
                self = .closed(retry: retry)
                return nil
            }
            guard let opened = NVML(library) else {
                self = .closed(retry: now + GPUSource.retryInterval)
                return nil
            }
            nvml = opened
        }
        guard let gpus = nvml.gpus() else {
            self = .closed(retry: now + GPUSource.retryInterval)
            return nil
        }
        self = .open(nvml)
        return gpus.isEmpty ? nil : gpus
    }
}

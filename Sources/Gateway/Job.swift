// Job: CPU-bound work over bytes, done by the worker pool: a value goes out, a value comes back, and nothing of the server travels with
// either. What a job computes is what the loop would have computed in place, had it been small.
public import Base
internal import Dialects
internal import Domain
internal import JSON
internal import WebSockets

/// Work for any thread.
public struct Job: Sendable {
    enum Work: Sendable {
        /// Read the body of a submission.
        case readOrder(SharedBytes, OrderForm, key: SharedBytes?)
        /// Read a worker's message.
        case readWorkerMessage(SharedBytes)
        /// Read the body of one report of an outside program.
        case readReport(SharedBytes, ProducerVerb, TaskID?)
        /// Read many of them.
        case readReports(SharedBytes, ProducerForm)
        /// Compress a message into a frame.
        case compress(MessageKind, SharedBytes, DeflateParameters)
    }

    /// Who gets the result, and for what.
    enum Ticket: Sendable {
        case request(ConnectionID, number: UInt32)
        case message(ConnectionID)
        case lane(ConnectionID, number: UInt32)
    }

    let ticket: Ticket
    let work: Work

    /// Does the work; for the pool's threads.
    public func perform(limits: Limits) -> Completion {
        Completion(ticket: ticket, result: result(limits))
    }

    private func result(_ limits: Limits) -> Completion.Result {
        var scratch = ByteWriter()
        switch work {
        case .readOrder(let body, let form, let key):
            do {
                let index = try JSONIndex(of: body, limits: limits.json)
                return .order(.success(try form.read(body.span, index, key: key, limits: limits, scratch: &scratch)))
            } catch let problem as RequestProblem {
                return .order(.failure(problem))
            } catch let error as JSONError {
                return .order(.failure(.malformed(error)))
            } catch {
                preconditionFailure("reading an order throws \(error)")
            }
        case .readWorkerMessage(let text):
            do {
                let index = try JSONIndex(of: text, limits: limits.json)
                return .workerMessage(.success(try WorkerDialect.read(text.span, index, limits: limits, scratch: &scratch)))
            } catch let problem as RequestProblem {
                return .workerMessage(.failure(problem))
            } catch let error as JSONError {
                return .workerMessage(.failure(.malformed(error)))
            } catch {
                preconditionFailure("reading a worker's message throws \(error)")
            }
        case .readReport(let body, let verb, let id):
            do {
                let index = try JSONIndex(of: body, limits: limits.json)
                return .report(.success(try ProducerDialect.read(verb, id, body.span, index, limits: limits, scratch: &scratch)))
            } catch let problem as RequestProblem {
                return .report(.failure(problem))
            } catch let error as JSONError {
                return .report(.failure(.malformed(error)))
            } catch {
                preconditionFailure("reading a report throws \(error)")
            }
        case .readReports(let text, let form):
            do {
                let index = try JSONIndex(of: text, limits: limits.json)
                return .reports(.success(try ProducerDialect.words(form, in: text.span, index, limits: limits, scratch: &scratch)))
            } catch let problem as RequestProblem {
                return .reports(.failure(problem))
            } catch let error as JSONError {
                return .reports(.failure(.malformed(error)))
            } catch {
                preconditionFailure("reading reports throws \(error)")
            }
        case .compress(let kind, let payload, let parameters):
            return .frame(CompressedFrame.make(kind, payload.span, parameters))
        }
    }
}

/// What came of a job.
public struct Completion: Sendable {
    enum Result: Sendable {
        case order(Swift.Result<Order, RequestProblem>)
        case workerMessage(Swift.Result<WorkerMessage, RequestProblem>)
        case report(Swift.Result<ProducerEvent, RequestProblem>)
        case reports(Swift.Result<[ProducerWord], RequestProblem>)
        case frame(SharedBytes)
    }

    let ticket: Job.Ticket
    let result: Result
}

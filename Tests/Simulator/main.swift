// The simulator's command: `Simulator SEED` or `Simulator FROM..TO`, and `--trace` to read what happened.
import Glibc

let command = Command(CommandLine.arguments.dropFirst())
exit(command.run())

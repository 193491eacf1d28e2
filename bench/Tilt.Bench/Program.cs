using Tilt;
using Tilt.Bench;
using Tilt.Model;

NativeRuntime.Prepare();
string[] verbs =
[
    "W1",
    "W2",
    "W3",
    "W4",
    "W5",
    "W6",
    "policy",
    "curves",
    "action-curves",
    "memory",
    "cep2d",
    "oracle",
    "qgpo",
    "qgpo-table",
    "environments",
    "fuzz",
    "data",
    "avatars",
];
try
{
    var verb = args.FirstOrDefault("help");
    var rest = args.Skip(1).ToArray();
    switch (verb)
    {
        case "W1" or "W2":
            TrainingSteps.Compare(verb, rest);
            return 0;
        case "W3" or "W4":
            ActionTraining.Compare(verb, rest);
            return 0;
        case "W5":
            return Acting.Support(rest);
        case "W6":
            return Acting.Guided(rest);
        case "policy":
            return Acting.Save(rest);
        case "curves":
            LossCurves.Print(rest);
            return 0;
        case "action-curves":
            ActionTraining.Curves(rest);
            return 0;
        case "memory":
            return SteadyMemory.Check(rest);
        case "cep2d":
            return PlaneTable.Run(rest);
        case "oracle":
            return OracleTable.Run(rest);
        case "qgpo":
            return ActionTable.Run(rest);
        case "qgpo-table":
            return ActionTable.Print(rest);
        case "environments":
            return Environments.Run(rest);
        case "fuzz":
            return FuzzData.Run(rest);
        case "data":
            return LargeData.Run(rest);
        case "avatars":
            return Avatars.Run(rest);
        case "help" or "--help" or "-h":
            Console.WriteLine(
                """
                Tilt.Bench VERB [options]
                  W1 [rounds]      score step against the same step in plain TorchSharp, interleaved; prints the ratio
                  W2 [rounds]      the same for the contrastive guidance step
                  W3 [rounds]      behavior step, the same way
                  W4 [rounds]      critic and guidance step, the same way
                  W5 [rounds]      support actions of 256 states
                  W6 [rounds]      guided actions of 1 and of 50 states
                  policy FILE      writes a policy of W6's networks, weights drawn, to try deployments with
                  curves [steps]   evaluation loss of W1 in fp32 and bf16, two seeds
                  action-curves [steps [FILE]]   the same for W3, on the actions of a data file
                  memory [steps]   resident memory and live tensors over W1 steps
                  cep2d [FILE [SEEDS [TASK…]]]   the table of the 2-D experiment; goes on where FILE ends
                  oracle [N,… [name=value…] [TASK…]]   exact noise and guidance through the sampler, N evaluations: the solver's own error
                  qgpo [FILE [RUN…]]   the table of QGPO on own data sets, run by run; goes on where FILE ends
                  qgpo-table [FILE]   FILE as Markdown
                  fuzz [N [SEED [KIND]]]   reads N mutated files (hdf5, csv, npz, safetensors): each read or refused, within bounds
                  data [N [S]]     a data set of N steps, S dimensions: time and memory to write, open, draw from
                  avatars [N [FILE]]   speed of drawing avatars, effective sample sizes of colour tilts; FILE gets a contact sheet (ppm)
                  environments     what the tasks cost above their MuJoCo calls; the maze controller's scores
                """
            );
            return 0;
        default:
            throw Suggest.Unknown("benchmark", verb, verbs);
    }
}
catch (TiltException e)
{
    Console.Error.WriteLine($"error: {e.Message}");
    return e.ExitCode;
}

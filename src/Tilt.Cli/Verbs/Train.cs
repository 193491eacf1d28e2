using System.CommandLine;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt train ALGORITHM</c>: one verb below it for each algorithm.</summary>
internal static class Train
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "train",
            "Trains a model into a run's folder, or goes on where it stopped.",
            "./tilt train cep2d --task 8gaussians",
            "./tilt train qgpo --task maze2d-umaze --preset demo"
        );
        verb.Add(TrainCep2d.Verb(terminal));
        verb.Add(TrainQgpo.Verb(terminal));
        verb.Add(TrainImagesNoise.Verb(terminal));
        verb.Add(TrainImagesEnergy.Verb(terminal));
        verb.Add(TrainImagesClassifier.Verb(terminal));
        verb.SetAction(ParseResultAction);
        return verb;

        int ParseResultAction(ParseResult parsed)
        {
            HelpPage.Write(verb, terminal, VerbCatalogue.PathOf(parsed.CommandResult));
            return 2;
        }
    }
}

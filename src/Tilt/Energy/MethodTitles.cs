namespace Tilt.Energy;

/// <summary>What titles and sentences call the ways to get an intermediate energy.</summary>
public static class MethodTitles
{
    /// <summary>The title of a method, such as exp-MSE for <c>emse</c>.</summary>
    /// <param name="name">Its name on the command line and in files.</param>
    public static string Of(string name) =>
        name switch
        {
            "emse" => "exp-MSE",
            "cep-unbiased" => "unbiased CEP",
            _ => name.ToUpperInvariant(),
        };
}

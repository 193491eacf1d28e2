namespace Tilt.Training;

/// <summary>Stops training when a number has become infinite or not a number.</summary>
public static class Finite
{
    /// <summary>Throws unless a loss is finite. Reads it from its device, so call it where the loss is read anyway.</summary>
    /// <param name="loss">A scalar.</param>
    /// <param name="stage">The stage of training, for the message.</param>
    /// <param name="step">The gradient step, for the message.</param>
    /// <exception cref="TiltException">The loss is infinite or not a number.</exception>
    public static double Require(Tensor loss, string stage, long step)
    {
        var value = loss.ToDouble();
        return double.IsFinite(value)
            ? value
            : throw new TiltException(
                $"stage '{stage}', step {step}: the loss is {value}. Nothing of this step has been kept; go on from the last "
                    + "checkpoint with a smaller learning rate, or look for NaN in the data."
            );
    }
}

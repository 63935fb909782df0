import { useRef, useState } from "react";

/**
 * A button whose action needs a confirmation: props of the button, which is not shown while `asking`, and of `Confirm`.
 * If the answer is no, the button has the focus again. `act` resolves when the action has ended, well or not.
 */
export function useQuestion(act: () => Promise<void>) {
  const button = useRef<HTMLButtonElement>(null);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);

  async function onConfirm() {
    setBusy(true);
    await act();
    setBusy(false);
    setAsking(false);
  }

  function onCancel() {
    setAsking(false);
    // The button is back after the next rendering.
    setTimeout(() => button.current?.focus());
  }

  return {
    asking,
    button: { ref: button, type: "button", onClick: () => setAsking(true) },
    answers: { busy, onConfirm, onCancel },
    withdraw: () => setAsking(false),
  } as const;
}

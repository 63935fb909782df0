import { useEffect, useRef, useState } from "react";
import { AskPage } from "./ask/AskPage";
import { Head } from "./Head";
import { KeyForm } from "./key/KeyForm";
import { forget, type Keeping, keep, kept } from "./key/store";
import { HealthBanner } from "./service/HealthBanner";
import { useHealth } from "./service/useHealth";
import { useRoute } from "./shared/useRoute";
import { TeachPage } from "./teach/TeachPage";

/** How long a word about the key stays, in milliseconds. */
const SAID_FOR = 10_000;

/** The whole page. Both parts stay mounted, so that nothing written or answered is lost on the way to the other. */
export function App() {
  const [route, go] = useRoute();
  const { health, isBack, look } = useHealth();
  const [apiKey, setApiKey] = useState(kept);
  const [changing, setChanging] = useState(false);
  const [said, setSaid] = useState("");
  const keyField = useRef<HTMLInputElement>(null);
  const askTitle = useRef<HTMLHeadingElement>(null);
  const teachTitle = useRef<HTMLHeadingElement>(null);
  const title = route === "/teach" ? teachTitle : askTitle;
  const first = useRef(true);
  const needsKey = apiKey === "" || changing;

  useEffect(() => {
    document.title = route === "/teach" ? "Teach · Sutra" : "Sutra";
    // A page that has just been loaded leaves the focus where the browser put it.
    if (first.current) first.current = false;
    else title.current?.focus();
  }, [route, title]);

  useEffect(() => {
    if (changing) keyField.current?.focus();
  }, [changing]);

  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => setSaid(""), SAID_FOR);
    return () => clearTimeout(timer);
  }, [said]);

  function needKey() {
    setChanging(true);
    keyField.current?.focus();
  }

  function acceptKey(key: string, keeping: Keeping) {
    const stored = keep(key, keeping);
    setApiKey(key);
    setChanging(false);
    setSaid(stored ? "The key is set." : "The key is set, but this browser keeps nothing: it is gone on reload.");
    title.current?.focus();
  }

  function forgetKey() {
    forget();
    setApiKey("");
    setChanging(false);
    setSaid("The key is forgotten. This browser no longer holds it.");
    title.current?.focus();
  }

  /** A request has just ended, and may know more of the service than the last look. */
  function settled(failed: boolean) {
    if (failed || health?.state !== "up") look();
  }

  const page = { apiKey, onNeedKey: needKey, onSettled: settled };
  return (
    <>
      <Head route={route} go={go} hasKey={apiKey !== ""} onChange={needKey} onForget={forgetKey} />
      <main>
        <HealthBanner health={health} isBack={isBack} />
        <p role="status" className={said === "" ? "visually-hidden" : "hint said"}>
          {said}
        </p>
        {needsKey && (
          <KeyForm field={keyField} onKey={acceptKey} onCancel={apiKey === "" ? undefined : () => setChanging(false)} />
        )}
        <div hidden={route !== "/"}>
          <AskPage {...page} title={askTitle} />
        </div>
        <div hidden={route !== "/teach"}>
          <TeachPage {...page} title={teachTitle} />
        </div>
      </main>
    </>
  );
}

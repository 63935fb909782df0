import { useEffect, useRef, useState } from "react";
import { AskPage } from "./ask/AskPage";
import { Header } from "./Header";
import { KeyForm } from "./key/KeyForm";
import { deleteKey, type KeyStorage, loadKey, saveKey } from "./key/store";
import { HealthBanner } from "./service/HealthBanner";
import { useHealth } from "./service/useHealth";
import { useRoute } from "./shared/useRoute";
import { TeachPage } from "./teach/TeachPage";

/** How long a notice about the key is shown, in milliseconds. */
const NOTICE_TIME = 10_000;

/** The whole page. Both views stay mounted, so that switching between them loses neither input nor answers. */
export function App() {
  const [route, navigate] = useRoute();
  const { health, isBack, refresh } = useHealth();
  const [apiKey, setApiKey] = useState(loadKey);
  const [changing, setChanging] = useState(false);
  const [notice, setNotice] = useState("");
  const keyField = useRef<HTMLInputElement>(null);
  const askTitle = useRef<HTMLHeadingElement>(null);
  const teachTitle = useRef<HTMLHeadingElement>(null);
  const title = route === "/teach" ? teachTitle : askTitle;
  const isFirst = useRef(true);
  const needsKey = apiKey === "" || changing;

  useEffect(() => {
    document.title = route === "/teach" ? "Teach · Sutra" : "Sutra";
    // Do not move the focus on the initial load.
    if (isFirst.current) isFirst.current = false;
    else title.current?.focus();
  }, [route, title]);

  useEffect(() => {
    if (changing) keyField.current?.focus();
  }, [changing]);

  useEffect(() => {
    if (notice === "") return;
    const timer = setTimeout(() => setNotice(""), NOTICE_TIME);
    return () => clearTimeout(timer);
  }, [notice]);

  function requestKey() {
    setChanging(true);
    keyField.current?.focus();
  }

  function acceptKey(key: string, storage: KeyStorage) {
    const isSaved = saveKey(key, storage);
    setApiKey(key);
    setChanging(false);
    setNotice(
      isSaved ? "API key saved." : "API key set but not saved: this browser blocks storage. It is lost on reload.",
    );
    title.current?.focus();
  }

  function forgetKey() {
    deleteKey();
    setApiKey("");
    setChanging(false);
    setNotice("API key deleted from this browser.");
    title.current?.focus();
  }

  /** Refreshes the health after a request, whose result may be newer. */
  function settled(failed: boolean) {
    if (failed || health?.state !== "up") refresh();
  }

  const page = { apiKey, onNeedKey: requestKey, onSettled: settled };
  return (
    <>
      <Header route={route} navigate={navigate} hasKey={apiKey !== ""} onChange={requestKey} onForget={forgetKey} />
      <main>
        <HealthBanner health={health} isBack={isBack} />
        <p role="status" className={notice === "" ? "visually-hidden" : "hint key-notice"}>
          {notice}
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

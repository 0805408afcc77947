// BouncyCastle as judge. Lines on standard input, one answer a line on standard output: yes, no, or what went wrong.
//   sm2 <spki> <data> <signature>       hex; an SM2 signature with SM3 and the identity of GM/T 0009
//   link <certificate> <issuer>         hex; is the certificate signed by the issuer's key
//   crl <list> <issuer> <serial>        hex; signed by the issuer, and revoked or good
//   cms <certificate> <content> <cms>   hex; a detached CMS of one signer, by this certificate
//   path <second> <leaf> <more> <roots> <lists>   path by RFC 5280 at a Unix second, then with the lists; the last three are
//                                       comma-separated, or -: chain (no path), no-data, revoked or good
//   gm <private key> <envelope>         hex; what a GM/T 0010 envelope holds, by SM2 and SM4-CBC
//   sign <data>                         a fresh key: spki and signature, hex
import java.io.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.HexFormat;
import javax.crypto.Cipher;
import javax.crypto.spec.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.gm.GMNamedCurves;
import org.bouncycastle.asn1.x9.X9ECParameters;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.crypto.engines.SM2Engine;
import org.bouncycastle.crypto.params.*;
import org.bouncycastle.jcajce.spec.SM2ParameterSpec;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.util.*;

public class Judge {
  static final HexFormat HEX = HexFormat.of();
  static final byte[] ID = "1234567812345678".getBytes();

  static X509Certificate certificate(String hex) throws Exception {
    return (X509Certificate) CertificateFactory.getInstance("X.509", "BC")
        .generateCertificate(new ByteArrayInputStream(HEX.parseHex(hex)));
  }

  static boolean sm2(String spki, String data, String signature) throws Exception {
    PublicKey key = KeyFactory.getInstance("EC", "BC").generatePublic(new X509EncodedKeySpec(HEX.parseHex(spki)));
    Signature s = Signature.getInstance("SM3withSM2", "BC");
    s.setParameter(new SM2ParameterSpec(ID));
    s.initVerify(key);
    s.update(HEX.parseHex(data));
    return s.verify(HEX.parseHex(signature));
  }

  static String sign(String data) throws Exception {
    KeyPairGenerator maker = KeyPairGenerator.getInstance("EC", "BC");
    maker.initialize(new ECGenParameterSpec("sm2p256v1"));
    KeyPair pair = maker.generateKeyPair();
    Signature s = Signature.getInstance("SM3withSM2", "BC");
    s.setParameter(new SM2ParameterSpec(ID));
    s.initSign(pair.getPrivate());
    s.update(HEX.parseHex(data));
    return HEX.formatHex(pair.getPublic().getEncoded()) + " " + HEX.formatHex(s.sign());
  }

  static String crl(String list, String issuer, String serial) throws Exception {
    X509CRL crl = (X509CRL) CertificateFactory.getInstance("X.509", "BC")
        .generateCRL(new ByteArrayInputStream(HEX.parseHex(list)));
    crl.verify(certificate(issuer).getPublicKey(), "BC");
    return crl.getRevokedCertificate(new java.math.BigInteger(serial, 16)) == null ? "good" : "revoked";
  }

  static boolean cms(String certificate, String content, String cms) throws Exception {
    CMSSignedData data = new CMSSignedData(new CMSProcessableByteArray(HEX.parseHex(content)), HEX.parseHex(cms));
    if (data.getSignerInfos().size() != 1) return false;
    X509CertificateHolder holder = new X509CertificateHolder(HEX.parseHex(certificate));
    SignerInformation one = data.getSignerInfos().getSigners().iterator().next();
    if (!one.getSID().match(holder)) return false;
    try {
      return one.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder));
    } catch (CMSException wrong) {
      return false;
    }
  }

  static java.util.List<Object> all(String hex, boolean lists) throws Exception {
    java.util.List<Object> found = new java.util.ArrayList<>();
    if (hex.equals("-")) return found;
    for (String one : hex.split(",")) {
      CertificateFactory made = CertificateFactory.getInstance("X.509", "BC");
      ByteArrayInputStream in = new ByteArrayInputStream(HEX.parseHex(one));
      found.add(lists ? made.generateCRL(in) : made.generateCertificate(in));
    }
    return found;
  }

  static String path(String second, String leaf, String more, String roots, String lists) throws Exception {
    java.util.Set<TrustAnchor> anchors = new java.util.HashSet<>();
    for (Object root : all(roots, false)) anchors.add(new TrustAnchor((X509Certificate) root, null));
    X509CertSelector wanted = new X509CertSelector();
    wanted.setCertificate(certificate(leaf));
    PKIXBuilderParameters asked = new PKIXBuilderParameters(anchors, wanted);
    asked.setDate(new java.util.Date(Long.parseLong(second) * 1000));
    java.util.List<Object> store = all(more, false);
    store.add(certificate(leaf));
    asked.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(store), "BC"));
    asked.setRevocationEnabled(false);
    try {
      CertPathBuilder.getInstance("PKIX", "BC").build(asked);
    } catch (CertPathBuilderException none) {
      return "chain";
    }
    asked.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(all(lists, true)), "BC"));
    asked.setRevocationEnabled(true);
    try {
      CertPathBuilder.getInstance("PKIX", "BC").build(asked);
      return "good";
    } catch (CertPathBuilderException refused) {
      for (Throwable why = refused; why != null; why = why.getCause())
        if (String.valueOf(why.getMessage()).contains("Certificate revocation after")) return "revoked";
      return "no-data";
    }
  }

  static String gm(String key, String envelope) throws Exception {
    ASN1Sequence outer = ASN1Sequence.getInstance(HEX.parseHex(envelope));
    ASN1Sequence body = ASN1Sequence.getInstance(((ASN1TaggedObject) outer.getObjectAt(1)).getObject());
    ASN1Sequence one = ASN1Sequence.getInstance(ASN1Set.getInstance(body.getObjectAt(1)).getObjectAt(0));
    ASN1Sequence wrapped = ASN1Sequence.getInstance(ASN1OctetString.getInstance(one.getObjectAt(3)).getOctets());
    X9ECParameters curve = GMNamedCurves.getByName("sm2p256v1");
    ECDomainParameters domain = new ECDomainParameters(curve.getCurve(), curve.getG(), curve.getN(), curve.getH());
    byte[] x = BigIntegers.asUnsignedByteArray(32, ASN1Integer.getInstance(wrapped.getObjectAt(0)).getValue());
    byte[] y = BigIntegers.asUnsignedByteArray(32, ASN1Integer.getInstance(wrapped.getObjectAt(1)).getValue());
    byte[] c3 = ASN1OctetString.getInstance(wrapped.getObjectAt(2)).getOctets();
    byte[] c2 = ASN1OctetString.getInstance(wrapped.getObjectAt(3)).getOctets();
    byte[] raw = Arrays.concatenate(new byte[][] {{4}, x, y, c3, c2});
    SM2Engine engine = new SM2Engine(SM2Engine.Mode.C1C3C2);
    engine.init(false, new ECPrivateKeyParameters(new java.math.BigInteger(1, HEX.parseHex(key)), domain));
    byte[] session = engine.processBlock(raw, 0, raw.length);
    ASN1Sequence content = ASN1Sequence.getInstance(body.getObjectAt(2));
    byte[] iv = ASN1OctetString.getInstance(ASN1Sequence.getInstance(content.getObjectAt(1)).getObjectAt(1)).getOctets();
    byte[] sealed = ASN1OctetString.getInstance((ASN1TaggedObject) content.getObjectAt(2), false).getOctets();
    Cipher cipher = Cipher.getInstance("SM4/CBC/PKCS7Padding", "BC");
    cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(session, "SM4"), new IvParameterSpec(iv));
    return HEX.formatHex(cipher.doFinal(sealed));
  }

  static String answer(String[] w) {
    try {
      switch (w[0]) {
        case "sm2": return sm2(w[1], w[2], w[3]) ? "yes" : "no";
        case "sign": return sign(w[1]);
        case "gm": return gm(w[1], w[2]);
        case "crl": return crl(w[1], w[2], w[3]);
        case "cms": return cms(w[1], w[2], w[3]) ? "yes" : "no";
        case "path": return path(w[1], w[2], w[3], w[4], w[5]);
        case "link":
          certificate(w[1]).verify(certificate(w[2]).getPublicKey(), "BC");
          return "yes";
        default: return "unknown";
      }
    } catch (SignatureException | InvalidKeyException | CRLException | CertificateException refused) {
      return "no";
    } catch (Exception error) {
      return "error " + error.getClass().getSimpleName() + " " + error.getMessage();
    }
  }

  public static void main(String[] a) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    PrintWriter out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out)));
    for (String line; (line = in.readLine()) != null;) out.println(answer(line.split(" ")));
    out.flush();
  }
}
